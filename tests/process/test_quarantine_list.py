"""The list as it is followed: what could not be handed on is, and naming it keeps no other list waiting."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pdp.config.quarantine import QuarantineSettings
from pdp.counters import Counters
from pdp.identity.quarantine.file import add_entry, lift_entry, make_entry
from pdp.identity.quarantine.lists import (
    Quarantine,
    QuarantineError,
    read_quarantine,
    write_quarantine,
)
from pdp.process.cannot_start import CannotStartError
from pdp.process.quarantine import QuarantineList
from pdp.service.metrics import Metrics
from tests.e2e.running import until
from tests.identity.publishing import Publisher, publishing, send

NOW = 1_800_000_000_000
ENTRY = make_entry({"dns": "a.example.org"}, who="ops", why="x", since=NOW, until=NOW + 1000)


class World:
    """A list in a file, and others who are handed it, or not."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "quarantine.json"
        self.file.write_bytes(write_quarantine([ENTRY]))
        self.said: list[str] = []
        settings = QuarantineSettings(file=self.file)
        self.list = QuarantineList(settings, Metrics(Counters()), self.said.append)
        self.others = self.list.current
        self.fails = self.naming_fails = False
        self.named = 0
        self.naming = threading.Event()
        self.naming.set()
        self.list._hand_on, self.list._name = self.hand_on, self.name

    def hand_on(self) -> None:
        self.others = self.list.current
        if self.fails:
            raise OSError("too many open files")

    def name(self) -> None:
        self.naming.wait(10)
        if self.naming_fails:
            raise OSError("no space left on device")
        self.named += 1


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_was_handed_on_in_part_is_taken_back_everywhere(world: World) -> None:
    before = world.file.read_bytes()
    lift_entry(world.file, ENTRY.id, NOW)
    world.fails = True
    with pytest.raises(OSError, match="too many"):
        world.list.reread()
    assert world.others.entries == ()

    world.fails = False
    world.file.write_bytes(before)  # as it was before
    world.list.reread()

    assert world.others.entries == world.list.current.entries == (ENTRY,)


def test_a_name_that_could_not_be_given_is_given_by_the_next_look(world: World) -> None:
    lift_entry(world.file, ENTRY.id, NOW)
    world.naming_fails = True
    with pytest.raises(OSError, match="no space"):
        world.list.reread()
    assert world.others.entries == ()

    world.naming_fails = False
    world.list.reread()
    world.list.reread()

    assert world.named == 1


def test_the_next_list_does_not_wait_until_the_one_before_has_a_name(world: World) -> None:
    world.naming.clear()
    lift_entry(world.file, ENTRY.id, NOW)
    first = threading.Thread(target=world.list.reread)
    first.start()
    while world.others.entries:
        pass

    add_entry(world.file, ENTRY, NOW)
    second = threading.Thread(target=world.list.reread)
    second.start()
    deadline = threading.Event()
    for _ in range(100):
        if world.others.entries:
            break
        deadline.wait(0.02)

    assert world.others.entries == (ENTRY,)
    world.naming.set()
    first.join()
    second.join()


def test_a_service_that_cannot_read_its_list_does_not_start(tmp_path: Path) -> None:
    for content in (None, b"{"):
        file = tmp_path / "q.json"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(CannotStartError, match="who is quarantined cannot be told"):
            QuarantineList(QuarantineSettings(file=file), Metrics(Counters()), print)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Publisher]:
    (tmp_path / "source").mkdir()
    with publishing(tmp_path / "source") as published:
        published.document = write_quarantine([ENTRY])
        yield published


def at_url(source: Publisher, folder: Path, **more: float) -> QuarantineList:
    settings = QuarantineSettings(
        url=source.url, ca_file=source.roots, kept=folder / "kept.json", **{"poll_seconds": 0.1, **more}
    )
    return QuarantineList(settings, Metrics(Counters()), print)


def test_a_list_at_a_url_is_fetched_again_before_the_first_pause(source: Publisher, tmp_path: Path) -> None:
    followed = at_url(source, tmp_path, poll_seconds=60)
    source.document = write_quarantine([])

    with followed.follow(hand_on=lambda: None, name=lambda: None):
        until(lambda: not followed.current.entries, 3)


def test_a_list_at_a_url_is_read_again_when_that_is_asked(source: Publisher, tmp_path: Path) -> None:
    followed = at_url(source, tmp_path)
    source.document = write_quarantine([])

    followed.reread()

    assert followed.current.entries == ()
    source.document = b"{"
    with pytest.raises(QuarantineError, match="not JSON"):
        followed.reread()
    source.answer = lambda handler: send(handler, b"", 500)
    with pytest.raises(QuarantineError, match="https://localhost"):
        followed.reread()
    assert followed.current.entries == ()


def test_a_list_that_is_fetched_again_with_the_same_bytes_is_read_once(
    source: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def counting(data: bytes) -> Quarantine:
        read.append(data)
        return read_quarantine(data)

    followed = at_url(source, tmp_path)
    monkeypatch.setattr("pdp.process.quarantine.read_quarantine", counting)

    with followed.follow(hand_on=lambda: None, name=lambda: None):
        until(lambda: len(source.asked) > 5)
        assert read == [source.document]

        source.document = write_quarantine([])
        until(lambda: not followed.current.entries)
        source.document = write_quarantine([ENTRY])
        until(lambda: followed.current.entries == (ENTRY,))
        assert len(read) == 3


@pytest.mark.parametrize("what", ["handed on", "named", "kept"])
def test_what_waits_is_done_though_the_same_bytes_are_fetched(
    source: Publisher, tmp_path: Path, what: str
) -> None:
    followed, fails, done = at_url(source, tmp_path), [True], {"handed on": 0, "named": 0, "kept": 0}
    kept = tmp_path / "kept.json"

    def doing(name: str) -> Callable[[], None]:
        def do() -> None:
            if fails and name == what:
                raise OSError("too many open files")
            done[name] += 1

        return do

    source.document = write_quarantine([])
    with followed.follow(hand_on=doing("handed on"), name=doing("named")):
        if what == "kept":
            kept.unlink()
            kept.mkdir()  # nothing can be written there
        until(lambda: len(source.asked) > 5)
        fails.clear()
        if what == "kept":
            kept.rmdir()
        asked = len(source.asked)
        until(lambda: len(source.asked) > asked + 4)

    assert (done["handed on"], done["named"]) == (1, 1)
    assert kept.read_bytes() == source.document
