"""The list as it is followed: what could not be handed on is, and naming it keeps no other list waiting."""

import threading
from pathlib import Path

import pytest

from pdp.config.quarantine import QuarantineSettings
from pdp.counters import Counters
from pdp.identity.quarantine.file import add_entry, lift_entry, make_entry
from pdp.identity.quarantine.lists import write_quarantine
from pdp.process.cannot_start import CannotStartError
from pdp.process.quarantine import QuarantineList
from pdp.service.metrics import Metrics

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
