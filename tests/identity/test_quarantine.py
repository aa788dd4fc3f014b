"""Lists of who is believed no more: each rule of an entry, whom it is about, and one writer at a time."""

import json
import os
import subprocess
import sys
import timeit
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.identity.quarantine.entries import BadEntryError, Entry, entry_of
from pdp.identity.quarantine.file import (
    NoSuchEntryError,
    _of_this_process,
    add_entry,
    lift_entry,
    make_entry,
    quarantine_in,
)
from pdp.identity.quarantine.lists import (
    NOBODY,
    Quarantine,
    QuarantineError,
    read_quarantine,
    write_quarantine,
)
from pdp.identity.quarantine.workloads import PatternTree, WorkloadPattern, workload_pattern
from pdp.limits import (
    MAX_QUARANTINE_ENTRIES,
    MAX_QUARANTINE_SECONDS,
    MAX_QUARANTINE_TEXT,
    MAX_TRUST_FILE_BYTES,
)
from pdp.principals import dns_principal, spiffe_principal

NOW = 1_800_000_000_000
HOUR = 3_600_000
WEB = "spiffe://prod.example.org/ns/shop/sa/web"


def entry(**named: str) -> Entry:
    return make_entry(named or {"spiffe_id": WEB}, who="ops", why="leaked", since=NOW, until=NOW + HOUR)


def written(**change: Any) -> dict[str, Any]:
    found = {
        "id": "q-1", "who": "ops", "why": "leaked", "spiffe_id": WEB,
        "since": "2027-01-15T08:00:00Z", "until": "2027-01-15T09:00:00Z", **change,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not ...}


def about(list_: Quarantine, id_: str, now: int = NOW) -> bool:
    workload = spiffe_principal(id_) if id_.startswith("spiffe") else dns_principal(id_)
    return list_.workload(workload.id, workload.trust_domain, workload.segments, now) is not None


# -- entries --------------------------------------------------------------------------


def test_an_entry_is_read_as_it_stands() -> None:
    found = entry_of(written())

    assert found.target == ("spiffe_id", WEB)
    assert found.ends == NOW + HOUR


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"until": "2027-01-15T08:00:00Z"}, "after `since`"),
        ({"until": "2026-01-15T09:00:00Z"}, "after `since`"),
        ({"until": "2028-03-15T09:00:00Z"}, "366 days at most"),
        ({"until": ...}, "has `until`"),
        ({"who": ...}, "has `who`"),
        ({"why": ...}, "has `why`"),
        ({"why": ""}, "a text of 1"),
        ({"why": "x" * 2049}, "a text of 1"),
        ({"why": "a\x1b[31m"}, "do not print"),
        ({"why": 7}, "a text of 1"),
        ({"id": "a/b"}, "letters, digits"),
        ({"until": "2027-02-30T09:00:00Z"}, "of the calendar"),
        ({"until": "2027-01-15T09:00:00+01:00"}, "RFC 3339 in UTC"),
        ({"until": "2027-01-15"}, "RFC 3339 in UTC"),
        ({"spiffe_id": ...}, "names one of"),
        ({"dns": "db.example.org"}, "names one of"),
        ({"spiffe": WEB}, "has no `spiffe`"),
        ({"trust_domain": "prod.example.org"}, "does not go with"),
        ({"issuer": "https://login.example.com"}, "does not go with"),
        ({"spiffe_id": "prod.example.org/ns/x"}, "begins with `spiffe://`"),
        ({"spiffe_id": "dns:db.example.org"}, "begins with `spiffe://`"),
        ({"spiffe_id": "spiffe://prod.example.org"}, "segment"),
        ({"spiffe_id": "spiffe://*/ns/x"}, "whole segment"),
        ({"spiffe_id": "spiffe://prod.example.org/ns/x*"}, "whole segment"),
        ({"spiffe_id": "spiffe://prod.example.org/**/x"}, "whole segment"),
        ({"spiffe_id": "spiffe://prod.example.org/ns/../x"}, "dot segment"),
        ({"spiffe_id": "spiffe://Prod.example.org/x"}, "lower-case"),
        ({"spiffe_id": ..., "dns": "*.*.example.org"}, "host name"),
        ({"spiffe_id": ..., "dns": "*"}, "host name"),
        ({"spiffe_id": ..., "serial": "0x1f"}, "hexadecimal"),
        ({"spiffe_id": ..., "serial": "-1f"}, "hexadecimal"),
        ({"spiffe_id": ..., "jti": "1"}, "goes with `issuer`"),
        ({"spiffe_id": ..., "sub": "alice"}, "goes with `issuer`"),
        ({"spiffe_id": ..., "sub": "alice", "issuer": "spiffe://prod.example.org"}, "by name, without"),
        ({"spiffe_id": ..., "serial": "0a", "trust_domain": "PROD.example.org"}, "lower-case"),
        ({"spiffe_id": ..., "serial": "0a", "trust_domain": "spiffe://prod.example.org"}, "trust domain"),
        ({"spiffe_id": ..., "serial": "0a", "trust_domain": "prod.example.org/x"}, "no path"),
    ],
)
def test_what_is_no_entry_is_said_to_be_none(change: dict[str, Any], why: str) -> None:
    with pytest.raises(BadEntryError, match=why):
        entry_of(written(**change))


@pytest.mark.parametrize("text", ["0A:1f:3C", "0a1f3c", "a1f3c", "00a1f3c"])
def test_a_serial_number_is_the_same_in_each_spelling(text: str) -> None:
    assert entry_of(written(spiffe_id=..., serial=text)).serial == "0a1f3c"


# -- whom they are about --------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "holds", "others"),
    [
        (WEB, [WEB], [f"{WEB}/x", f"{WEB}2", "spiffe://prod.example.org/ns/shop/sa"]),
        ("spiffe://prod.example.org/ns/*/sa/web", [WEB], ["spiffe://prod.example.org/ns/shop/sa/alice"]),
        ("spiffe://prod.example.org/ns/*", ["spiffe://prod.example.org/ns/shop"], [WEB]),
        ("spiffe://prod.example.org/ns/shop/**", [WEB, "spiffe://prod.example.org/ns/shop"],
         ["spiffe://prod.example.org/ns/shop2/sa/web", "spiffe://test.example.org/ns/shop/sa/web"]),
        ("spiffe://prod.example.org/**", [WEB], ["spiffe://prod.example.net/ns/shop/sa/web"]),
    ],
)  # fmt: skip
def test_a_pattern_is_of_whole_segments(pattern: str, holds: list[str], others: list[str]) -> None:
    found = Quarantine((entry(spiffe_id=pattern),))

    assert all(about(found, id_) for id_ in holds)
    assert not any(about(found, id_) for id_ in others)


def test_a_dns_name_and_one_label_more() -> None:
    found = Quarantine((entry(dns="DB.example.org"), entry(dns="*.web.example.org")))

    assert all(about(found, name) for name in ("db.example.org", "a.web.example.org"))
    assert not any(
        about(found, name) for name in ("web.example.org", "b.a.web.example.org", "x.db.example.org")
    )
    assert not about(found, "spiffe://prod/db.example.org")


def test_an_entry_holds_until_it_ends() -> None:
    found = Quarantine((entry(),))

    assert about(found, WEB, NOW + HOUR - 1)
    assert not about(found, WEB, NOW + HOUR)


def test_of_two_that_are_about_one_workload_the_longer_holds() -> None:
    short = make_entry({"spiffe_id": WEB}, who="a", why="x", since=NOW, until=NOW + HOUR)
    long = make_entry({"spiffe_id": WEB}, who="b", why="y", since=NOW, until=NOW + 2 * HOUR)
    for entries in ((short, long), (long, short)):
        found = Quarantine(entries)
        assert found.workload(WEB, "prod.example.org", ("ns", "shop", "sa", "web"), NOW) == long


def test_serial_numbers_are_of_one_trust_domain_or_of_whichever() -> None:
    found = Quarantine((entry(serial="0a", trust_domain="prod.example.org"), entry(serial="0b")))

    assert found.certificate("prod.example.org", "0a", NOW)
    assert not found.certificate("partner.example.net", "0a", NOW)
    assert found.certificate("partner.example.net", "0b", NOW)
    assert not found.certificate("", "0c", NOW)


def test_tokens_by_their_name_and_by_their_subject_of_one_issuer() -> None:
    found = Quarantine(
        (entry(jti="7", issuer="https://a.example"), entry(sub="al", issuer="https://b.example"))
    )

    assert found.token("https://a.example", "bob", "7", NOW)
    assert not found.token("https://b.example", "bob", "7", NOW)
    assert not found.token("https://a.example", "bob", None, NOW)
    assert found.token("https://b.example", "al", None, NOW)
    assert not found.token("https://a.example", "al", "8", NOW)
    assert found.names_users
    assert not found.names_workloads


# -- documents ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "empty"),
        (b"[]", "one list"),
        (b'{"entries": {}}', "one list"),
        (b'{"entries": [], "more": 1}', "one list"),
        (b'{"entries": [7]}', "entry 1: an entry is an object"),
        (b'{"entries": [], "entries": []}', "twice"),
        (json.dumps({"entries": [written(), written()]}).encode(), "one `id`"),
        (json.dumps({"entries": [written(), written(id="b", until="x")]}).encode(), "entry 2"),
        (b" " * (2 << 20), "bytes"),
    ],
)
def test_a_document_is_taken_whole_or_not_at_all(document: bytes, why: str) -> None:
    with pytest.raises(QuarantineError, match=why):
        read_quarantine(document)


SEGMENTS = st.lists(st.sampled_from(["ns", "shop", "*", "a.b", "x_1"]), min_size=1, max_size=5)


@given(st.lists(st.tuples(SEGMENTS, st.booleans()), max_size=5))
def test_a_list_is_read_as_it_was_written(patterns: list[tuple[list[str], bool]]) -> None:
    entries = tuple(
        entry(spiffe_id="/".join(["spiffe://prod.example.org", *parts] + (["**"] if rest else [])))
        for parts, rest in patterns
    )

    found = read_quarantine(write_quarantine(entries))

    assert found == Quarantine(entries)
    assert found.digest == Quarantine(entries).digest
    assert bool(found.digest) == bool(entries)


def test_nobody_has_no_digest_and_any_change_has_another() -> None:
    one, other = entry(), entry()

    assert NOBODY.digest == ""
    assert len({NOBODY.digest, Quarantine((one,)).digest, Quarantine((other,)).digest}) == 3


@given(
    SEGMENTS,
    st.lists(st.sampled_from(["ns", "shop", "a.b"]), min_size=1, max_size=6),
    st.sampled_from([[], ["**"]]),
)
def test_a_pattern_holds_what_its_definition_says(parts: list[str], path: list[str], rest: list[str]) -> None:
    text = "/".join(["spiffe://prod", *parts, *rest])
    pattern = workload_pattern(text)

    expected = (len(path) >= len(parts) if rest else len(path) == len(parts)) and all(
        wanted in {"*", found} for wanted, found in zip(parts, path, strict=False)
    )

    assert pattern.holds("prod", tuple(path)) == expected
    assert pattern.exact == (not rest and "*" not in parts)
    assert pattern.text == text


# -- files ----------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "quarantine.json"
    path.write_bytes(write_quarantine(()))
    return path


def test_writers_wait_for_each_other_and_lose_nothing(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: add_entry(file, entry(), NOW), range(40)))

    found = quarantine_in(file).entries
    assert len(found) == 40

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: lift_entry(file, each.id, NOW), found))

    assert quarantine_in(file) == NOBODY


def test_entries_that_have_ended_leave_with_the_next_change(file: Path) -> None:
    old, new = entry(), entry(dns="db.example.org")
    add_entry(file, old, NOW)

    add_entry(file, make_entry({"dns": "x"}, who="a", why="b", since=NOW, until=NOW + 9 * HOUR), NOW + HOUR)

    assert old not in quarantine_in(file).entries
    assert new not in quarantine_in(file).entries
    assert len(quarantine_in(file).entries) == 1


def test_a_list_that_is_full_takes_no_more(file: Path) -> None:
    full = tuple(entry() for _ in range(MAX_QUARANTINE_ENTRIES))
    file.write_bytes(write_quarantine(full))

    with pytest.raises(QuarantineError, match="no room"):
        add_entry(file, entry(), NOW)

    assert quarantine_in(file).entries == full


def test_what_cannot_be_read_is_never_written_over(file: Path) -> None:
    file.write_bytes(b'{"entries": [')

    with pytest.raises(QuarantineError, match=r"quarantine\.json: "):
        add_entry(file, entry(), NOW)

    assert file.read_bytes() == b'{"entries": ['


def test_a_list_that_could_not_be_read_again_is_not_written(file: Path) -> None:
    long = "x" * 2000
    named = {"jti": long, "issuer": f"https://{long[:2000]}"}
    many = [make_entry(named, who=long, why=long, since=NOW, until=NOW + HOUR) for _ in range(140)]
    fits = next(n for n in range(140) if len(write_quarantine(many[: n + 1])) > 1 << 20)
    file.write_bytes(write_quarantine(many[:fits]))

    with pytest.raises(QuarantineError, match="bytes"):
        add_entry(file, many[fits], NOW)

    assert len(quarantine_in(file).entries) == fits > 100
    full = {"entries": [written(id=f"q-{n}", why="x" * 800) for n in range(999)]}
    compact = json.dumps(full, separators=(",", ":")).encode()
    compact += b" " * ((1 << 20) - len(compact))
    assert read_quarantine(compact) == read_quarantine(write_quarantine(read_quarantine(compact).entries))


def test_it_belongs_to_whom_it_belonged_or_is_not_written(file: Path) -> None:
    if os.geteuid() == 0:
        os.chown(file, 65534, 1234)
    file.chmod(0o640)
    before = file.stat()

    add_entry(file, entry(), NOW)

    after = file.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)


def test_who_holds_the_lock_for_too_long_is_not_waited_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdp.identity.quarantine.file._PATIENCE_SECONDS", 0.2)
    add_entry(file, entry(), NOW)
    hold = (
        f"import fcntl,time; f=open({str(file.with_name('.quarantine.json.lock'))!r},'r+'); fcntl.lockf(f,2)"
    )
    with subprocess.Popen([sys.executable, "-c", f"{hold}; print(flush=True); time.sleep(60)"],
                          stdout=subprocess.PIPE) as other:  # fmt: skip
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(QuarantineError, match="somebody else is changing"):
            add_entry(file, entry(), NOW)
        other.kill()

    add_entry(file, entry(), NOW)
    assert len(quarantine_in(file).entries) == 2


def test_processes_wait_for_each_other(file: Path) -> None:
    add = (
        "import sys; from pathlib import Path; from pdp.identity.quarantine.file import *\n"
        f"for _ in range(20): add_entry(Path({str(file)!r}), make_entry({{'dns': 'x'}}, who='a', why='b',"
        f" since={NOW}, until={NOW + HOUR}), {NOW})"
    )
    running = [subprocess.Popen([sys.executable, "-c", add]) for _ in range(3)]

    assert [each.wait(60) for each in running] == [0, 0, 0]
    assert len(quarantine_in(file).entries) == 60


PATHS = st.lists(st.sampled_from(["ns", "shop", "a.b"]), min_size=1, max_size=6)


@given(st.lists(st.tuples(SEGMENTS, st.booleans()), max_size=12), PATHS)
def test_a_tree_of_patterns_finds_those_that_hold(
    patterns: list[tuple[list[str], bool]], path: list[str]
) -> None:
    texts = ["/".join(["spiffe://prod", *parts] + (["**"] if rest else [])) for parts, rest in patterns]
    all_of = [workload_pattern(text) for text in texts]

    found = PatternTree(enumerate_pairs(all_of)).about("prod", tuple(path))

    assert sorted(found) == [n for n, pattern in enumerate(all_of) if pattern.holds("prod", tuple(path))]


def enumerate_pairs(patterns: list[WorkloadPattern]) -> list[tuple[WorkloadPattern, int]]:
    return [(pattern, number) for number, pattern in enumerate(patterns)]


def test_a_thousand_patterns_cost_little_more_than_one() -> None:
    def cost(count: int) -> float:
        entries = (entry(spiffe_id=f"spiffe://prod.example.org/ns/n{n}/*") for n in range(count))
        found = Quarantine(tuple(entries))
        segments = ("ns", "shop", "sa", "web")
        return min(timeit.repeat(lambda: found.workload(WEB, "prod.example.org", segments, NOW), number=200))

    assert cost(MAX_QUARANTINE_ENTRIES) < 20 * cost(1)  # it was a thousand times


def test_no_entry_of_that_name(file: Path) -> None:
    with pytest.raises(NoSuchEntryError, match="no entry is named `q-none`"):
        lift_entry(file, "q-none", NOW)


def test_a_link_stays_a_link_and_the_mode_stays(file: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "link.json"
    link.symlink_to(file)
    file.chmod(0o644)

    add_entry(link, entry(), NOW)

    assert link.is_symlink()
    assert len(quarantine_in(file).entries) == 1
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(QuarantineError, match="cannot be"):
        add_entry(tmp_path / "none" / "q.json", entry(), NOW)


# -- bounds ---------------------------------------------------------------------------


def test_an_entry_may_be_as_long_and_as_lasting_as_its_bounds_and_no_more() -> None:
    assert entry_of(written(why="x" * MAX_QUARANTINE_TEXT)).why
    since = datetime(2027, 1, 15, 8, tzinfo=UTC)
    longest = since + timedelta(seconds=MAX_QUARANTINE_SECONDS)
    assert entry_of(written(until=f"{longest:%Y-%m-%dT%H:%M:%SZ}"))
    assert entry_of(written(until="2027-01-15T08:00:00.001Z"))
    for beyond in (timedelta(milliseconds=1), timedelta(seconds=1)):
        until = (longest + beyond).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        with pytest.raises(BadEntryError, match="by 366 days at most"):
            entry_of(written(until=until))


def test_a_list_has_at_most_so_many_entries_and_bytes() -> None:
    many = [written(id=f"q-{n}") for n in range(MAX_QUARANTINE_ENTRIES + 1)]
    assert len(read_quarantine(json.dumps({"entries": many[:-1]}).encode()).entries) == MAX_QUARANTINE_ENTRIES
    with pytest.raises(QuarantineError, match=f"more than {MAX_QUARANTINE_ENTRIES} entries"):
        read_quarantine(json.dumps({"entries": many}).encode())
    # As it is written it would be too long, though it is not as it stands here.
    count = MAX_QUARANTINE_ENTRIES
    entries = [{**many[n], "why": "x"} for n in range(count)]
    size = len(write_quarantine([entry_of(each) for each in entries]))
    entries[0]["why"] = "x" * 2000
    for n in range(1, (MAX_TRUST_FILE_BYTES - size - 1999) // 1999 + 1):
        entries[n]["why"] = "x" * 2000
    left = MAX_TRUST_FILE_BYTES - len(write_quarantine([entry_of(each) for each in entries]))
    entries[-1]["why"] = "x" * (1 + left)
    compact = json.dumps({"entries": entries}, separators=(",", ":")).encode()
    assert len(write_quarantine(read_quarantine(compact).entries)) == MAX_TRUST_FILE_BYTES
    entries[-1]["why"] += "x"
    compact = json.dumps({"entries": entries}, separators=(",", ":")).encode()
    assert len(compact) < MAX_TRUST_FILE_BYTES
    with pytest.raises(QuarantineError, match=f"more than {MAX_TRUST_FILE_BYTES} bytes"):
        read_quarantine(compact)


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    file = tmp_path / "q.json"
    document = b'{"entries": []}'
    file.write_bytes(document + b" " * (MAX_TRUST_FILE_BYTES - len(document)))
    assert quarantine_in(file) == NOBODY
    file.write_bytes(document + b" " * (MAX_TRUST_FILE_BYTES - len(document) + 1))
    with pytest.raises(QuarantineError, match="bytes"):
        quarantine_in(file)


def test_how_an_empty_list_begins_is_told_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(QuarantineError, match="an empty list is") as caught:
        quarantine_in(tmp_path / "none.json")
    assert read_quarantine(str(caught.value).partition("`")[2].removesuffix("`").encode()) == NOBODY
    with pytest.raises(QuarantineError, match=r"cannot be read: Is a directory$"):
        quarantine_in(tmp_path)
    assert write_quarantine(()) == b'{"entries": []}\n'


def test_the_entry_that_is_lifted_is_handed_back_and_no_other(file: Path) -> None:
    one, other = entry(), entry()
    for each in (one, other):
        add_entry(file, each, NOW)

    assert lift_entry(file, one.id, NOW) == one
    assert quarantine_in(file).entries == (other,)


def test_of_patterns_that_hold_the_one_that_holds_longest_is_told() -> None:
    text = "spiffe://prod.example.org/ns/**"
    entries = [
        make_entry({"spiffe_id": text}, who=f"o{n}", why="x", since=NOW, until=NOW + n * HOUR)
        for n in (2, 3, 1)
    ]
    found = Quarantine(tuple(entries))

    assert found.workload(WEB, "prod.example.org", ("ns", "shop", "sa", "web"), NOW) == entries[1]
    assert about(found, WEB, NOW + 3 * HOUR - 1)
    assert not about(found, WEB, NOW + 3 * HOUR)


@pytest.mark.parametrize(
    ("text", "id_", "held"),
    [
        ("spiffe://a/x/*", "spiffe://a/x/y", True),
        ("spiffe://a/x/*", "spiffe://b/x/y", False),
        ("spiffe://a/**", "spiffe://b/x/y", False),
        ("dns:*.example.org", "dns:a.example.org", True),
        ("dns:*.example.org", "spiffe://a/b/example/org", False),
        ("spiffe://a/*/example/org", "dns:x.example.org", False),
    ],
)
def test_an_id_is_in_a_pattern_of_its_own_kind_and_trust_domain(text: str, id_: str, *, held: bool) -> None:
    assert workload_pattern(text).holds_id(id_) is held


def test_a_pattern_says_of_which_form_it_is() -> None:
    for text in ("prod.example.org/ns/x", "prod.example.org/ns/*", "db.example.org"):
        with pytest.raises(ValueError, match="begins with `spiffe://`"):
            workload_pattern(text)


def test_a_token_without_a_name_is_in_no_entry_about_names() -> None:
    found = Quarantine((entry(jti="None", issuer="https://a.example"),))

    assert found.token("https://a.example", "x", None, NOW) is None


def test_a_thread_that_does_not_come_to_an_end_is_not_waited_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdp.identity.quarantine.file._PATIENCE_SECONDS", 0.1)
    with (
        _of_this_process,
        ThreadPoolExecutor(1) as pool,
        pytest.raises(QuarantineError, match="somebody else is changing"),
    ):
        pool.submit(add_entry, file, entry(), NOW).result()

    add_entry(file, entry(), NOW)
    assert len(quarantine_in(file).entries) == 1


def test_nobody_waits_for_the_other_end_of_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "list.json"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(quarantine_in, pipe)
        try:
            with pytest.raises(QuarantineError, match=r"list\.json: cannot be read: it is no regular file"):
                reading.result(timeout=5)
        finally:
            os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))  # whoever waits may go on
