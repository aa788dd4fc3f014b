"""Changes of a policy directory are noticed: by events soon, and by the poll alone without fail."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from pdp import limits
from pdp.store import bundle, watch
from pdp.store.bundle import PolicyBundle, make_bundle, read_bundle
from pdp.store.places import Places, listen, places_of
from pdp.store.tree import Entry, scan
from pdp.store.watch import DirectoryWatcher

DEADLINE = 10.0
NEVER = 1000.0


class Log:
    """Everything that a watcher called back, and waiting for it."""

    def __init__(self) -> None:
        self.bundles: list[PolicyBundle] = []
        self.errors: list[BaseException] = []
        self._news = threading.Condition()

    def on_change(self, read: PolicyBundle) -> None:
        with self._news:
            self.bundles.append(read)
            self._news.notify_all()

    def on_error(self, error: BaseException) -> None:
        with self._news:
            self.errors.append(error)
            self._news.notify_all()

    def until(self, true: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(true, DEADLINE), (
                f"not within {DEADLINE} s; {self.bundles} {self.errors}"
            )

    def until_files(self, files: dict[str, bytes]) -> None:
        self.until(lambda: bool(self.bundles) and self.bundles[-1] == make_bundle(files))

    def until_code(self, code: str) -> None:
        self.until(lambda: bool(self.bundles) and [p.code for p in self.bundles[-1].problems] == [code])


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture(params=["events", "poll"])
def watching(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    """Watch with events and as good as no poll, and then with the poll and no event at all."""
    if request.param == "events":
        return partial(watched, poll_seconds=NEVER)
    idle = tmp_path_factory.mktemp("idle")
    monkeypatch.setattr(watch, "listen", lambda _: listen([str(idle)]))
    return partial(watched, poll_seconds=0.05)


@contextmanager
def watched(root: Path, log: Log, **times: float) -> Iterator[DirectoryWatcher]:
    watcher = DirectoryWatcher(root, log.on_change, on_error=log.on_error, **times)
    watcher.start()
    try:
        yield watcher
        assert watcher._thread.is_alive(), "the watcher ended by itself"
    finally:
        watcher.stop()
    assert not watcher._thread.is_alive()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "policies"
    path.mkdir()
    (path / "a.policy").write_bytes(b"0")
    return path


def set_link(link: Path, target: str) -> None:
    """Point a link elsewhere in one step, as kubelet and git-sync do."""
    new = link.with_name(link.name + "_tmp")
    new.symlink_to(target)
    new.replace(link)


# -- ways in which files are changed, each more than once ------------------------------


def test_overwriting_a_file(root: Path, log: Log, watching) -> None:
    with watching(root, log):
        for content in (b"1", b"22", b"333"):
            (root / "a.policy").write_bytes(content)
            log.until_files({"a.policy": content})

    assert log.errors == []


def test_renaming_a_new_file_into_place(root: Path, log: Log, watching) -> None:
    with watching(root, log):
        for content in (b"1", b"2", b"3"):
            (root / "a.policy~").write_bytes(content)
            (root / "a.policy~").replace(root / "a.policy")
            log.until_files({"a.policy": content})

    assert (len(log.bundles), log.errors) == (3, [])


def test_a_change_that_keeps_size_and_times(
    root: Path, log: Log, watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_OLD_ENOUGH_NS", -1)  # so that nothing but the signature can tell
    before = (root / "a.policy").stat()
    with watching(root, log):
        for content in (b"1", b"2", b"3"):
            (root / "a.policy").write_bytes(content)
            os.utime(root / "a.policy", ns=(before.st_atime_ns, before.st_mtime_ns))
            log.until_files({"a.policy": content})

    assert log.errors == []


def test_a_config_map_volume_that_is_updated(root: Path, log: Log, watching) -> None:
    shutil.rmtree(root)
    root.mkdir()

    def publish(number: int, files: dict[str, bytes]) -> None:
        """The steps of kubelet's atomic writer, in its order."""
        before = (root / "..data").readlink() if (root / "..data").is_symlink() else None
        version = root / f"..2026_11_21_22_00_0{number}.{number}"
        version.mkdir()
        for name, content in files.items():
            (version / name).write_bytes(content)
        set_link(root / "..data", version.name)
        for name in files:
            if not (root / name).is_symlink():
                (root / name).symlink_to(f"..data/{name}")
        for link in root.glob("*.policy"):
            if link.name not in files:
                link.unlink()
        if before:
            shutil.rmtree(root / before)

    versions = [
        {"a.policy": b"1", "b.policy": b"1"},
        {"a.policy": b"2", "b.policy": b"2"},
        {"a.policy": b"3", "c.policy": b"3"},
        {"b.policy": b"4"},
    ]
    publish(0, versions[0])
    with watching(root, log, settle_seconds=0.2):
        for number, files in enumerate(versions[1:], 1):
            publish(number, files)
            log.until_files(files)

    assert (log.bundles, log.errors) == ([make_bundle(files) for files in versions[1:]], [])


def test_new_directories(root: Path, log: Log, watching) -> None:
    files = {"a.policy": b"0"}
    with watching(root, log):
        for name in ("d/x.policy", "d/e/f/x.policy", "d/e/f/y.policy", "g/x.policy"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"1")
            files[name] = b"1"
            log.until_files(files)
        for name in ("d/e/f/x.policy", "g/x.policy"):
            (root / name).write_bytes(b"2")
            files[name] = b"2"
            log.until_files(files)

    assert log.errors == []


def test_files_and_directories_that_are_deleted(root: Path, log: Log, watching) -> None:
    for name in ("b.policy", "d/x.policy", "e/x.policy"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"0")
    with watching(root, log):
        (root / "a.policy").unlink()
        log.until_files({"b.policy": b"0", "d/x.policy": b"0", "e/x.policy": b"0"})
        shutil.rmtree(root / "d")
        log.until_files({"b.policy": b"0", "e/x.policy": b"0"})
        (root / "b.policy").unlink()
        log.until_files({"e/x.policy": b"0"})
        shutil.rmtree(root / "e")
        log.until_files({})

    assert (len(log.bundles), log.errors) == (4, [])


def test_a_repository_that_checks_out_other_commits(tmp_path: Path, log: Log, watching) -> None:
    root = tmp_path / "repository"

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        isolated = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(
            ["git", "-C", root, *identity, *arguments], check=True, capture_output=True, env=isolated
        )

    commits = []
    root.mkdir()
    git("init", "--initial-branch", "main")
    for number in range(2):
        shutil.rmtree(root / "teams", ignore_errors=True)
        for team in range(number, 40 + number):
            (root / f"teams/t{team}").mkdir(parents=True)
            (root / f"teams/t{team}/x.policy").write_bytes(b"%d" % number * 2000)
        git("add", "--all")
        git("commit", "--message", "m")
        git("tag", f"v{number}")
        commits.append(read_bundle(root))
    with watching(root, log, settle_seconds=0.3):
        for number in (0, 1, 0, 1):
            git("checkout", f"v{number}")
            log.until_files(dict(commits[number].files))

    assert (log.bundles, log.errors) == ([commits[number] for number in (0, 1, 0, 1)], [])


@pytest.mark.parametrize("below", ["", "policies"])
def test_a_link_to_the_root_or_above_it_that_is_pointed_elsewhere(
    tmp_path: Path, log: Log, watching, below: str
) -> None:
    for number in range(4):
        (tmp_path / f"git/v{number}" / below).mkdir(parents=True)
        (tmp_path / f"git/v{number}" / below / "a.policy").write_bytes(b"%d" % number)
    (tmp_path / "git/current").symlink_to("v0")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/link").symlink_to(tmp_path / "git/current")
    with watching(tmp_path / "etc/link" / below, log):
        for number in (1, 2, 3):
            set_link(tmp_path / "git/current", f"v{number}")
            log.until_files({"a.policy": b"%d" % number})
        (tmp_path / "git/v3" / below / "a.policy").write_bytes(b"new")
        log.until_files({"a.policy": b"new"})
        set_link(tmp_path / "etc/link", "../git/v0")
        log.until_files({"a.policy": b"0"})

    assert (len(log.bundles), log.errors) == (5, [])


def test_a_directory_that_is_replaced(root: Path, log: Log, watching) -> None:
    with watching(root, log):
        for number in (1, 2, 3):
            new = root.with_name("new")
            new.mkdir()
            (new / "a.policy").write_bytes(b"%d" % number)
            root.rename(root.with_name(f"old{number}"))
            new.rename(root)
            log.until_files({"a.policy": b"%d" % number})
            (root / "a.policy").write_bytes(b"again")
            log.until_files({"a.policy": b"again"})

    assert log.errors == []


@pytest.mark.parametrize("above", [False, True])
def test_a_root_that_is_removed_is_reported_and_its_return_too(
    tmp_path: Path,
    log: Log,
    watching,
    above: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    root = tmp_path / "mount/policies"
    root.mkdir(parents=True)
    with watching(root, log):
        for number in (1, 2, 3):
            shutil.rmtree(root.parent if above else root)
            log.until_code("PDP901")
            root.mkdir(parents=True)
            (root / "a.policy").write_bytes(b"%d" % number)
            log.until_files({"a.policy": b"%d" % number})

    assert log.errors == []


def test_a_root_that_is_missing_at_first(tmp_path: Path, log: Log, watching) -> None:
    with watching(tmp_path / "not/yet", log):
        (tmp_path / "not/yet").mkdir(parents=True)
        (tmp_path / "not/yet/a.policy").write_bytes(b"1")
        log.until_files({"a.policy": b"1"})

    assert log.errors == []


def test_a_missing_root_whose_parent_is_replaced(tmp_path: Path, log: Log, watching) -> None:
    (tmp_path / "mount").mkdir()
    with watching(tmp_path / "mount/policies", log):
        for number in (1, 2):
            (tmp_path / "new").mkdir()
            (tmp_path / "new").rename(tmp_path / "mount")  # in one step: the old one is empty
            time.sleep(0.2)
            (tmp_path / "mount/policies").mkdir()
            (tmp_path / "mount/policies/a.policy").write_bytes(b"%d" % number)
            log.until_files({"a.policy": b"%d" % number})
            shutil.rmtree(tmp_path / "mount/policies")
            log.until_code("PDP901")

    assert log.errors == []


def test_a_single_file(root: Path, log: Log, watching) -> None:
    with watching(root / "a.policy", log):
        for content in (b"1", b"2"):
            (root / "b.policy").write_bytes(content)
            (root / "a.policy").write_bytes(content)
            log.until_files({"a.policy": content})
            (root / "new").write_bytes(content * 2)
            (root / "new").replace(root / "a.policy")
            log.until_files({"a.policy": content * 2})
            (root / "a.policy").unlink()
            log.until_code("PDP901")
        (root / "a.policy").write_bytes(b"3")
        log.until_files({"a.policy": b"3"})

    assert log.errors == []


def test_problems_that_come_and_go_are_reported_once_each(root: Path, log: Log, watching) -> None:
    with watching(root, log):
        for _ in range(2):
            (root / "x.policy").mkdir()
            log.until_code("PDP903")
            (root / "x.policy").rmdir()
            log.until_files({"a.policy": b"0"})

    assert (len(log.bundles), log.errors) == (4, [])


# -- what is reported, and when --------------------------------------------------------


def test_nothing_is_reported_where_nothing_of_the_set_changed(root: Path, log: Log, watching) -> None:
    with watching(root, log):
        (root / "README.md").write_bytes(b"x")
        (root / ".a.policy.swp").write_bytes(b"x")
        (root / "empty").mkdir()
        os.utime(root / "a.policy")
        (root / "a.policy").write_bytes(b"0")
        (root / "a.policy").chmod(0o600)
        time.sleep(0.3)
        (root / "a.policy").write_bytes(b"1")
        log.until_files({"a.policy": b"1"})

    assert (len(log.bundles), log.errors) == (1, [])


def test_a_change_between_the_baseline_and_the_start_is_reported(root: Path, log: Log) -> None:
    baseline = read_bundle(root)
    (root / "a.policy").write_bytes(b"1")
    watcher = DirectoryWatcher(
        root, log.on_change, on_error=log.on_error, baseline=baseline, poll_seconds=NEVER
    )

    watcher.start()

    log.until_files({"a.policy": b"1"})
    watcher.stop()


def test_a_file_that_is_written_in_pieces_is_reported_whole(root: Path, log: Log, watching) -> None:
    with watching(root, log, settle_seconds=0.3):
        for _ in range(2):
            with (root / "a.policy").open("wb", buffering=0) as file:
                for _ in range(6):
                    time.sleep(0.03)
                    file.write(b"piece;")
            log.until_files({"a.policy": b"piece;" * 6})
            (root / "a.policy").write_bytes(b"")
            log.until_files({"a.policy": b""})

    assert len(log.bundles) == 4


def test_a_file_that_is_emptied_before_it_is_written_over_is_reported_whole(
    root: Path, log: Log, watching
) -> None:
    with watching(root, log):
        for content in (b"1", b"22"):
            with (root / "a.policy").open("wb", buffering=0) as file:
                time.sleep(0.12)  # much longer than a tree has to hold still
                file.write(content)
            log.until_files({"a.policy": content})
        (root / "a.policy").write_bytes(b"")
        log.until_files({"a.policy": b""})

    assert len(log.bundles) == 3


def test_a_tree_that_never_holds_still_is_reported_and_then_read(
    root: Path, log: Log, watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_UNSETTLED_SECONDS", 0.3)
    done = threading.Event()

    def scribble() -> None:
        while not done.wait(0.002):
            (root / "a.policy").write_bytes(os.urandom(8))

    with watching(root, log, settle_seconds=0.1):
        for _ in range(2):
            writer = threading.Thread(target=scribble, daemon=True)
            writer.start()
            log.until_code("PDP909")
            done.set()
            writer.join()
            (root / "a.policy").write_bytes(b"end")
            log.until_files({"a.policy": b"end"})
            done.clear()

    assert log.errors == []


def test_content_that_no_signature_betrays_is_read_from_time_to_time(
    root: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = bundle._content
    shown = {"content": b"0"}
    monkeypatch.setattr(bundle, "_OLD_ENOUGH_NS", -1)
    monkeypatch.setattr(bundle, "_content", lambda at, entry: real(at, entry) and shown["content"])

    with watched(root, log, poll_seconds=0.05, content_seconds=0.2):
        for content in (b"1", b"2"):
            shown["content"] = content
            log.until_files({"a.policy": content})


def test_half_of_a_write_that_no_signature_betrays_is_not_reported(
    root: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = bundle._content
    shown = [b"0"]

    def content(at: str, entry: Entry) -> bytes | None:
        if real(at, entry) is None:
            return None
        return shown.pop() if len(shown) > 1 else shown[0]

    monkeypatch.setattr(bundle, "_OLD_ENOUGH_NS", 10**18)
    monkeypatch.setattr(bundle, "_content", content)
    with watched(root, log, poll_seconds=0.05) as watcher:
        wait_until(lambda: watcher._reader.tree is not None)
        for number in (1, 2):
            shown[:] = [b"whole %d" % number, b"half"]
            log.until_files({"a.policy": b"whole %d" % number})

    assert log.bundles == [make_bundle({"a.policy": b"whole 1"}), make_bundle({"a.policy": b"whole 2"})]


def test_a_tree_at_rest_is_looked_at_once_a_tick_and_not_read(
    root: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_OLD_ENOUGH_NS", -1)
    looks: list[None] = []
    checks: list[None] = []
    reads: list[str] = []
    read = bundle._open_beneath
    monkeypatch.setattr(watch, "scan", lambda path: looks.append(None) or scan(path))
    monkeypatch.setattr(bundle, "scan", lambda path: checks.append(None) or scan(path))
    monkeypatch.setattr(bundle, "_open_beneath", lambda at, name: reads.append(name) or read(at, name))

    with watched(root, log, poll_seconds=0.01):
        wait_until(lambda: len(looks) > 20)

    # The baseline, which is scanned before and after, and the watcher's own first reading.
    assert (reads, len(checks)) == (["a.policy"] * 2, 3)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("spoil", ["raise", "problem"])
def test_only_a_version_that_was_taken_is_confirmed(root: Path, log: Log, spoil: str) -> None:
    confirmed: list[None] = []

    def on_change(read: PolicyBundle) -> None:
        log.on_change(read)
        if read.files.get("a.policy") == b"bad":
            raise ValueError("planted")

    watcher = DirectoryWatcher(
        root,
        on_change,
        on_error=log.on_error,
        on_confirmed=lambda: confirmed.append(None),
        poll_seconds=0.02,
    )
    watcher.start()
    for number in (1, 2):
        confirmed.clear()
        wait_until(lambda: len(confirmed) > 2)
        reported = len(log.bundles)
        if spoil == "raise":
            (root / "new").write_bytes(b"bad")
            (root / "new").replace(root / "a.policy")
        else:
            (root / "x.policy").mkdir()
        log.until(lambda reported=reported: len(log.bundles) > reported)
        confirmed.clear()
        time.sleep(0.2)
        assert confirmed == []
        (root / "a.policy").write_bytes(b"%d" % number)
        if spoil == "problem":
            (root / "x.policy").rmdir()
        log.until_files({"a.policy": b"%d" % number})
        wait_until(lambda: len(confirmed) > 2)
    watcher.stop()


# -- whatever happens, it goes on ------------------------------------------------------


@pytest.mark.parametrize("failure", [ValueError("planted"), SystemExit(1)], ids=["exception", "exit"])
def test_an_on_change_that_raises_is_told_and_the_next_change_comes(
    root: Path, log: Log, failure: BaseException
) -> None:
    def on_change(read: PolicyBundle) -> None:
        log.on_change(read)
        raise failure

    watcher = DirectoryWatcher(root, on_change, on_error=log.on_error, poll_seconds=NEVER)
    watcher.start()
    for number in (1, 2):
        (root / "a.policy").write_bytes(b"%d" % number)
        log.until(lambda number=number: log.errors == [failure] * number)
    watcher.stop()

    assert log.bundles == [make_bundle({"a.policy": b"1"}), make_bundle({"a.policy": b"2"})]


def test_an_on_error_that_raises_does_not_end_it_either(root: Path, log: Log) -> None:
    def fail(_: object) -> None:
        raise SystemExit

    watcher = DirectoryWatcher(
        root, lambda read: (log.on_change(read), fail(read)), on_error=fail, poll_seconds=NEVER
    )
    watcher.start()
    for content in (b"1", b"2"):
        (root / "a.policy").write_bytes(content)
        log.until_files({"a.policy": content})
    watcher.stop()


class PlantedPanic(BaseException):
    """As the library's own panics are: no `Exception`."""


@pytest.mark.parametrize("failure", [OSError(28, "limit on inotify watches reached"), PlantedPanic("panic")])
@pytest.mark.parametrize("after", [0, 3])
def test_without_events_it_says_so_once_and_polls(
    root: Path, log: Log, monkeypatch: pytest.MonkeyPatch, failure: BaseException, after: int
) -> None:
    def broken(_: list[str]) -> Generator[set[object], None, None]:
        for _ in range(after):
            yield set()
        raise failure

    monkeypatch.setattr(watch, "listen", broken)
    with watched(root, log, poll_seconds=0.05):
        for content in (b"1", b"2", b"3"):
            (root / "a.policy").write_bytes(content)
            log.until_files({"a.policy": content})
        (root / "d").mkdir()  # other places to watch, so events are tried again
        (root / "d/x.policy").write_bytes(b"1")
        log.until_files({"a.policy": b"3", "d/x.policy": b"1"})

    assert log.errors[0] is failure
    assert after or log.errors == [failure]


def test_a_directory_that_goes_before_it_is_watched_is_no_failure(
    root: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove_and_listen(paths: list[str]) -> Generator[set[object], None, None]:
        shutil.rmtree(root / "d", ignore_errors=True)
        return listen(paths)

    with watched(root, log, poll_seconds=NEVER):
        for content in (b"1", b"2"):
            (root / "d/e").mkdir(parents=True)
            (root / "d/x.policy").write_bytes(content)
            log.until(lambda content=content: log.bundles and content in log.bundles[-1].files.values())
            monkeypatch.setattr(watch, "listen", remove_and_listen)
            (root / "f").mkdir()
            log.until_files({"a.policy": b"0"})
            monkeypatch.setattr(watch, "listen", listen)
            (root / "f").rmdir()

    assert log.errors == []


def test_events_are_tried_again(root: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_REARM_SECONDS", 0.1)
    armed = threading.Event()

    def broken_once(paths: list[str]) -> Generator[set[object], None, None]:
        if not log.errors:
            raise OSError(24, "too many open files")
        armed.set()
        return listen(paths)

    monkeypatch.setattr(watch, "listen", broken_once)
    watcher = DirectoryWatcher(root, log.on_change, on_error=log.on_error, poll_seconds=0.05)
    watcher.start()
    assert armed.wait(DEADLINE)
    watcher._poll = NEVER
    for content in (b"1", b"2"):
        (root / "a.policy").write_bytes(content)
        log.until_files({"a.policy": content})
    watcher.stop()


def test_a_defect_in_looking_is_told_and_the_watcher_recovers(
    root: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = watch.scan
    failure = RuntimeError("planted")
    broken = threading.Event()

    def scan_or_fail(path: Path) -> object:
        if broken.is_set():
            raise failure
        return real(path)

    monkeypatch.setattr(watch, "scan", scan_or_fail)
    with watched(root, log, poll_seconds=0.05):
        for content in (b"1", b"2"):
            told = len(log.errors)
            broken.set()
            (root / "a.policy").write_bytes(content)
            log.until(lambda told=told: len(log.errors) > told)
            broken.clear()
            log.until_files({"a.policy": content})

    assert set(log.errors) == {failure}


def test_a_busy_neighbour_does_not_put_off_the_poll(
    root: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Places, "paths", lambda _: [str(root.parent)])
    done = threading.Event()

    def scribble() -> None:
        while not done.wait(0.001):
            (root.parent / "neighbour").write_bytes(b"x")

    neighbour = threading.Thread(target=scribble)
    neighbour.start()
    try:
        with watched(root, log, poll_seconds=0.1):
            for content in (b"1", b"2"):
                (root / "a.policy").write_bytes(content)
                log.until_files({"a.policy": content})
    finally:
        done.set()
        neighbour.join()


def test_only_directories_that_lead_to_the_set_are_watched(root: Path, tmp_path: Path) -> None:
    (root / "d").mkdir()
    (root / ".git/objects").mkdir(parents=True)
    (root / ".store/team").mkdir(parents=True)
    (root / "team").symlink_to(".store/team")
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to("policies")

    places = places_of(tmp_path / "link", scan(tmp_path / "link"))

    here = [str(path) for path in (tmp_path, *tmp_path.parents)]
    assert places.paths() == sorted([*here, str(root), str(root / "d"), str(root / ".store/team")])
    assert places.concern(str(tmp_path / "link"))
    assert places.concern(str(root / "d/x.policy"))
    assert places.concern(str(root / ".store/team"))
    assert not places.concern(str(tmp_path / "other"))
    assert not places.concern(str(tmp_path.parent / "other"))


# -- beginning and end -----------------------------------------------------------------


def test_stopping_is_prompt_and_may_be_repeated(root: Path, log: Log) -> None:
    watcher = DirectoryWatcher(root, log.on_change, on_error=log.on_error, poll_seconds=NEVER)
    watcher.start()
    before = time.monotonic()

    watcher.stop()
    watcher.stop()

    assert time.monotonic() - before < 1.0
    (root / "a.policy").write_bytes(b"1")
    assert not watcher._thread.is_alive()
    assert log.bundles == []


def test_stopping_is_prompt_without_events_and_in_a_tree_that_never_settles(
    root: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "listen", lambda _: (nothing for nothing in ()))
    watcher = DirectoryWatcher(
        root, log.on_change, on_error=log.on_error, poll_seconds=0.01, settle_seconds=NEVER
    )
    watcher.start()
    (root / "a.policy").write_bytes(b"1")
    wait_until(lambda: watcher._seen != watcher._reader.tree)

    watcher.stop()

    assert not watcher._thread.is_alive()
    assert log.bundles == []


def test_stopping_from_within_a_call_back_ends_it(root: Path, log: Log) -> None:
    watcher = DirectoryWatcher(
        root, lambda read: (watcher.stop(), log.on_change(read)), on_error=log.on_error, poll_seconds=NEVER
    )
    watcher.start()

    (root / "a.policy").write_bytes(b"1")
    log.until_files({"a.policy": b"1"})

    watcher._thread.join(DEADLINE)
    assert not watcher._thread.is_alive()


def test_a_watcher_that_was_never_started_can_be_stopped(root: Path, log: Log) -> None:
    DirectoryWatcher(root, log.on_change, on_error=log.on_error).stop()
