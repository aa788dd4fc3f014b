"""What a policy directory comes down to, and what is never loaded from it."""

import hashlib
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pdp import limits
from pdp.diagnostics import Severity, render
from pdp.store import bundle, tree
from pdp.store.bundle import BundleReader, PolicyBundle, make_bundle, read_bundle
from pdp.store.tree import Signature, scan


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "policies"
    path.mkdir()
    return path


def codes(read: PolicyBundle) -> list[tuple[str, str]]:
    assert all(p.severity is Severity.ERROR and render(p, {}) for p in read.problems)
    return [(p.code, p.span.file) for p in read.problems]


# -- what is loaded --------------------------------------------------------------------


def test_files_are_named_from_the_root_sorted_and_only_of_three_kinds(root: Path) -> None:
    for name in (
        "b/x.policy",
        "b/c/t.csv",
        "a.policy",
        "notes.txt",
        "README.md",
        "x.policy~",
        "x.policy.swp",
        "b.yaml",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())

    read = read_bundle(root)

    assert list(read.files.items()) == [
        (n, n.encode()) for n in ("a.policy", "b/c/t.csv", "b/x.policy", "notes.txt")
    ]
    assert codes(read) == []


def test_hidden_names_are_not_looked_at(root: Path) -> None:
    for name in (".git/x.policy", ".x.policy.swp", ".x.policy", "..data/x.policy"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"hidden")
    (root / ".#x.policy").symlink_to("user@host.4711")
    os.mkfifo(root / ".pipe.policy")

    assert read_bundle(root) == make_bundle({})


def test_a_config_map_volume_loads_each_file_once(root: Path) -> None:
    (root / "..2026_11_21_22_00_00.1/teams").mkdir(parents=True)
    (root / "..2026_11_21_22_00_00.1/a.policy").write_bytes(b"a")
    (root / "..2026_11_21_22_00_00.1/teams/b.policy").write_bytes(b"b")
    (root / "..data").symlink_to("..2026_11_21_22_00_00.1")
    (root / "a.policy").symlink_to("..data/a.policy")
    (root / "teams").symlink_to("..data/teams")

    assert read_bundle(root) == make_bundle({"a.policy": b"a", "teams/b.policy": b"b"})


def test_content_is_bytes_whatever_they_are(root: Path) -> None:
    (root / "a.policy").write_bytes(b"\xff\x00\xfe\r\n")
    (root / "empty.policy").write_bytes(b"")

    assert read_bundle(root) == make_bundle({"a.policy": b"\xff\x00\xfe\r\n", "empty.policy": b""})


def test_a_single_policy_file_is_read_without_its_neighbours(root: Path, tmp_path: Path) -> None:
    (root / "one.policy").write_bytes(b"1")
    (root / "two.policy").write_bytes(b"2")
    (tmp_path / "link.policy").symlink_to("policies/one.policy")

    assert read_bundle(root / "one.policy") == make_bundle({"one.policy": b"1"})
    assert read_bundle(tmp_path / "link.policy") == make_bundle({"link.policy": b"1"})


def test_the_root_may_be_a_link_to_anywhere(root: Path, tmp_path: Path) -> None:
    (root / "a.policy").write_bytes(b"a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/root").symlink_to(root)

    assert read_bundle(tmp_path / "elsewhere/root") == make_bundle({"a.policy": b"a"})


def test_links_that_stay_inside_are_followed(root: Path) -> None:
    (root / "a").mkdir()
    (root / "a/t.csv").write_bytes(b"t")
    (root / "b").symlink_to(root / "a")
    (root / "t.csv").symlink_to("a/t.csv")

    assert read_bundle(root) == make_bundle({"a/t.csv": b"t", "b/t.csv": b"t", "t.csv": b"t"})


# -- digest ----------------------------------------------------------------------------


def test_the_digest_is_over_names_with_their_lengths_and_digests_of_contents() -> None:
    files = ((b"a.policy", b"x"), (b"b.policy", b"yy"))
    text = b"".join(
        len(name).to_bytes(8) + name + hashlib.sha256(content).digest() for name, content in files
    )

    assert make_bundle({"b.policy": b"yy", "a.policy": b"x"}).digest == hashlib.sha256(text).hexdigest()


def test_the_digest_tells_apart_what_concatenation_would_not() -> None:
    sets = [
        {"a.policy": b"b.policy"},
        {"a.policyb.policy": b""},
        {"a.policy": b"", "b.policy": b""},
        {"a.policy": b"b", ".policy": b""},
        {},
    ]

    assert len({make_bundle(files).digest for files in sets}) == len(sets)


# -- what is wrong on disk -------------------------------------------------------------


@pytest.mark.parametrize("name", ["missing", "missing/deeper", "file.policy/x", "file.conf", "nul\0"])
def test_a_root_that_cannot_be_a_policy_set_is_a_problem(root: Path, name: str) -> None:
    (root / "file.policy").write_bytes(b"")
    (root / "file.conf").write_bytes(b"")

    read = read_bundle(root / name)

    assert codes(read) == [("PDP901", ".")]
    assert read.files == {}


def test_a_link_out_of_the_root_is_a_problem_and_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "policies-secret").mkdir()
    (tmp_path / "policies-secret/s.policy").write_bytes(b"secret")
    (root / "a.policy").symlink_to("/etc/passwd")
    (root / "b.policy").symlink_to("../policies-secret/s.policy")
    (root / "c").symlink_to(tmp_path / "policies-secret")
    (root / "d.md").symlink_to("/etc/passwd")
    (root / "real").mkdir()
    (root / "real/e.policy").symlink_to("../../policies-secret/s.policy")

    read = read_bundle(root)

    assert codes(read) == [("PDP904", name) for name in ("a.policy", "b.policy", "c", "real/e.policy")]
    assert read.files == {}


def test_links_in_a_loop_or_to_nothing_are_problems(root: Path) -> None:
    (root / "a").mkdir()
    (root / "a/up").symlink_to("..")
    (root / "a/self").symlink_to(".")
    (root / "b.policy").symlink_to("b.policy")
    (root / "c").symlink_to("d")
    (root / "d").symlink_to("c")
    (root / "e.policy").symlink_to("nowhere")
    (root / "x.policy").write_bytes(b"x")

    read = read_bundle(root)

    assert codes(read) == [("PDP905", name) for name in ("a/self", "a/up", "b.policy", "c", "d", "e.policy")]
    assert read.files == {"x.policy": b"x"}


@pytest.mark.timeout(10)
def test_what_is_not_a_regular_file_is_a_problem_and_does_not_block(root: Path) -> None:
    os.mkfifo(root / "pipe.policy")
    os.mkfifo(root / "pipe.other")
    (root / "directory.policy").mkdir()
    (root / "directory.policy/inside.policy").write_bytes(b"x")
    (root / "link.policy").symlink_to("pipe.policy")

    read = read_bundle(root)

    assert codes(read) == [("PDP903", name) for name in ("directory.policy", "link.policy", "pipe.policy")]
    assert read.files == {}


def test_names_that_cannot_be_shown_are_problems_and_everything_stays_printable(root: Path) -> None:
    for name in (b"a\xff.policy", b"b\n.policy", b"c\xe2\x80\xae.policy", b"d\\e.policy", b"f\xff.md"):
        (Path(os.fsdecode(os.fsencode(root) + b"/" + name))).write_bytes(b"x")
    directory = Path(os.fsdecode(os.fsencode(root) + b"/g\xff"))
    directory.mkdir()
    (directory / "x.policy").write_bytes(b"x")

    read = read_bundle(root)

    assert [code for code, _ in codes(read)] == ["PDP906"] * 5
    assert all(p.span.file.encode() and p.span.file.isprintable() for p in read.problems)
    assert read.files == {}


def test_a_policy_file_that_an_upper_case_ending_would_hide_is_a_problem(root: Path) -> None:
    (root / "deny.Policy").write_bytes(b"x")

    assert codes(read_bundle(root)) == [("PDP906", "deny.Policy")]


def test_what_may_not_be_read_is_a_problem() -> None:
    with TemporaryDirectory() as name:  # not below `tmp_path`, which nobody else may enter
        root = Path(name)
        root.chmod(0o755)
        (root / "a.policy").write_bytes(b"a")
        (root / "a.policy").chmod(0)
        (root / "b").mkdir(mode=0)
        (root / "c.policy").write_bytes(b"c")
        us = os.geteuid()
        if us == 0:
            os.seteuid(65534)  # nothing is unreadable to root
        try:
            read = read_bundle(root)
        finally:
            os.seteuid(us)

    assert codes(read) == [("PDP902", "a.policy"), ("PDP902", "b")]
    assert "permission denied" in read.problems[0].message
    assert read.files == {"c.policy": b"c"}


# -- bounds ----------------------------------------------------------------------------


def test_a_file_may_be_as_large_as_the_bound_and_no_larger(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 10)
    (root / "at.policy").write_bytes(b"x" * 10)
    (root / "past.policy").write_bytes(b"x" * 11)

    read = read_bundle(root)

    assert codes(read) == [("PDP907", "past.policy")]
    assert list(read.files) == ["at.policy"]


def test_a_huge_file_is_not_read_at_all(root: Path) -> None:
    with (root / "huge.policy").open("wb") as file:
        file.truncate(1 << 40)

    assert codes(read_bundle(root)) == [("PDP907", "huge.policy")]


@pytest.mark.parametrize(("bound", "at"), [("MAX_FILES", 3), ("MAX_SET_BYTES", 6), ("MAX_TREE_ENTRIES", 4)])
def test_a_set_at_its_bound_loads_and_one_past_it_does_not(
    root: Path, monkeypatch: pytest.MonkeyPatch, bound: str, at: int
) -> None:
    (root / "d").mkdir()
    for name in ("a.policy", "b.csv", "d/c.txt"):
        (root / name).write_bytes(b"xx")

    monkeypatch.setattr(limits, bound, at)
    within = read_bundle(root)
    monkeypatch.setattr(limits, bound, at - 1)
    beyond = read_bundle(root)

    assert (len(within.files), codes(within)) == (3, [])
    assert (dict(beyond.files), codes(beyond)) == ({}, [("PDP908", ".")])


def test_directories_that_link_to_each_other_cost_no_more_than_the_bound(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_TREE_ENTRIES", 2000)
    for name in "abcdefghij":
        (root / name).mkdir()
        for other in "abcdefghij":
            (root / name / other).symlink_to(root / other)

    assert codes(read_bundle(root)) == [("PDP908", ".")]


# -- consistency -----------------------------------------------------------------------


def test_a_tree_that_changed_since_it_was_listed_is_not_a_bundle(root: Path) -> None:
    (root / "a.policy").write_bytes(b"a")
    (root / "b.policy").write_bytes(b"b")
    seen = scan(root)

    (root / "b.policy").write_bytes(b"B")

    assert BundleReader(root).read(seen) is None


def test_a_file_that_appears_while_others_are_read_is_not_left_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "b.policy").write_bytes(b"allow")
    real = bundle._open_beneath

    def open_and_add(at: str, relative: str) -> int:
        (root / "a.policy").write_bytes(b"deny")
        return real(at, relative)

    monkeypatch.setattr(bundle, "_open_beneath", open_and_add)

    assert BundleReader(root).read(scan(root)) is None
    monkeypatch.undo()
    assert read_bundle(root).files == {"a.policy": b"deny", "b.policy": b"allow"}


def test_a_tree_that_never_holds_still_is_a_problem(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_READ_TRIES", 3)
    (root / "a.policy").write_bytes(b"a")
    real = bundle._open_beneath

    def open_and_write(at: str, relative: str) -> int:
        (root / "a.policy").write_bytes(b"a")
        return real(at, relative)

    monkeypatch.setattr(bundle, "_open_beneath", open_and_write)

    read = read_bundle(root)

    assert (codes(read), read.files) == ([("PDP909", ".")], {})


def test_a_directory_swapped_for_a_link_after_the_look_leads_nowhere(root: Path, tmp_path: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/x.policy").write_bytes(b"harmless")
    (tmp_path / "secret/b").mkdir(parents=True)
    os.link(root / "a/b/x.policy", tmp_path / "secret/b/x.policy")  # so that no signature tells them apart
    assert bundle._content(str(root), scan(root).entries["a/b/x.policy"]) == b"harmless"
    seen = scan(root)

    (root / "a").rename(tmp_path / "moved")
    (root / "a").symlink_to(tmp_path / "secret")

    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        bundle._content(str(root), seen.entries["a/b/x.policy"])
    assert BundleReader(root).read(seen) is None


@pytest.mark.timeout(10)
@pytest.mark.parametrize("written", [None, b"", b"a"], ids=["no writer", "silent writer", "writer"])
def test_a_file_swapped_for_a_pipe_after_the_look_does_not_block(root: Path, written: bytes | None) -> None:
    (root / "a.policy").write_bytes(b"a")
    seen = scan(root)

    (root / "a.policy").unlink()
    os.mkfifo(root / "a.policy")
    writer = os.open(root / "a.policy", os.O_RDWR) if written is not None else None
    if writer is not None and written:
        os.write(writer, written)

    assert BundleReader(root).read(seen) is None
    if writer is not None:
        os.close(writer)


# -- reading again ---------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were opened, in order."""
    names: list[str] = []
    real = bundle._open_beneath

    def note(at: str, relative: str) -> int:
        names.append(relative)
        return real(at, relative)

    monkeypatch.setattr(bundle, "_open_beneath", note)
    return names


def age(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Let the reader's clock run ahead of the file system's by so many seconds."""
    monkeypatch.setattr(bundle.time, "time_ns", lambda: int((time.time() + seconds) * 1e9))


def test_only_what_changed_is_opened_again(
    root: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    age(monkeypatch, 60)
    for name in ("a.policy", "b.policy", "c.policy"):
        (root / name).write_bytes(b"1")
    reader = BundleReader(root)
    first = reader.read(scan(root))
    assert first is not None
    assert opened == ["a.policy", "b.policy", "c.policy"]
    assert reader.is_current(scan(root))
    opened.clear()

    (root / "b.policy").write_bytes(b"2")
    assert not reader.is_current(scan(root))
    second = reader.read(scan(root))

    assert second is not None
    assert opened == ["b.policy"]
    assert second.files == {"a.policy": b"1", "b.policy": b"2", "c.policy": b"1"}
    assert second.files["a.policy"] is first.files["a.policy"]
    assert reader.read(scan(root)) is second


def test_a_file_written_just_now_is_opened_again(root: Path, opened: list[str]) -> None:
    (root / "a.policy").write_bytes(b"1")
    reader = BundleReader(root)
    first = reader.read(scan(root))

    assert not reader.is_current(scan(root))
    assert reader.read(scan(root)) is first
    assert opened == ["a.policy", "a.policy"]


def test_a_write_in_the_same_tick_of_a_coarse_clock_is_seen(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole_seconds(device: int, inode: int, size: int, mtime_ns: int, ctime_ns: int) -> Signature:
        return Signature(device, inode, size, mtime_ns // 10**9, ctime_ns // 10**9 * 10**9)

    monkeypatch.setattr(tree, "Signature", whole_seconds)
    monkeypatch.setattr(bundle, "Signature", whole_seconds)
    while time.time() % 1 > 0.7:  # not across the end of a second
        time.sleep(0.02)
    (root / "a.policy").write_bytes(b"1")
    reader = BundleReader(root)
    before = scan(root)
    reader.read(before)

    (root / "a.policy").write_bytes(b"2")

    after = scan(root)
    assert after == before, "the clock of this test is not as coarse as it should be"
    assert not reader.is_current(after)
    again = reader.read(after)
    assert again is not None
    assert again.files == {"a.policy": b"2"}


def test_distrust_opens_every_file_and_keeps_equal_content(
    root: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    age(monkeypatch, 60)
    (root / "a.policy").write_bytes(b"1")
    reader = BundleReader(root)
    first = reader.read(scan(root))

    reader.distrust()

    assert not reader.is_current(scan(root))
    assert reader.read(scan(root)) is first
    assert opened == ["a.policy", "a.policy"]


def test_the_content_of_the_baseline_is_not_held_twice(root: Path) -> None:
    (root / "a.policy").write_bytes(b"long enough not to be interned")
    baseline = read_bundle(root)
    reader = BundleReader(root, baseline)

    assert reader.read(scan(root)) is baseline
    (root / "b.policy").write_bytes(b"new")
    changed = reader.read(scan(root))

    assert changed is not None
    assert changed.files["a.policy"] is baseline.files["a.policy"]
