"""What those who administer are told of a change that is written, and fails after that."""

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pdp.adapters.admin import AdminApp, AdminRights
from pdp.adapters.replies import CALLER
from pdp.config.quarantine import QuarantineSettings
from pdp.counters import Counters
from pdp.identity.caller import Caller, CallerKind
from pdp.identity.quarantine.file import make_entry, quarantine_in
from pdp.identity.quarantine.lists import write_quarantine
from pdp.process.administering import _Kept
from pdp.process.quarantine import QuarantineList
from pdp.service.metrics import Metrics
from pdp.store.loader import Loader
from pdp.store.versions import Published, Versions
from tests.store.test_publish import A

NOW = 1_800_000_000_000
ANN = "spiffe://ops.example.org/people/ann"
ENTRY = make_entry({"dns": "a.example.org"}, who="ops", why="x", since=NOW, until=NOW + 10**10)
CALLER_ANN = Caller(
    kind=CallerKind.SPIFFE, id=ANN, trust_domain="ops.example.org", segments=("people", "ann"),
    fingerprint="0", not_after=NOW * 2, epoch=1, serial="1",
)  # fmt: skip


class World:
    """The application over a list in a file, that others are handed, or not."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "quarantine.json"
        self.file.write_bytes(write_quarantine([ENTRY]))
        self.said: list[str] = []
        self.said_at_hand_on: list[str] = []
        self.fails = False
        self.list = QuarantineList(QuarantineSettings(file=self.file), Metrics(Counters()), self.said.append)
        self.list._hand_on = self.hand_on
        snapshot = Loader().load(A, now=0).snapshot
        assert snapshot is not None
        versions = Versions(Published(snapshot=snapshot, number=1), now=0)
        self.app = AdminApp(
            _Kept(self.file, self.list, versions),
            AdminRights(quarantine=frozenset({ANN}), lift=frozenset({ANN})),
            clock=lambda: NOW,
            say=self.said.append,
        )

    def hand_on(self) -> None:
        self.said_at_hand_on = [*self.said]
        if self.fails:
            raise OSError("too many open files")

    def post(self, path: str, **said: Any) -> tuple[int, Any]:
        """What is answered."""
        sent: list[Any] = []
        scope = {
            "type": "http", "method": "POST", "path": path, "query_string": b"", "scheme": "https",
            "headers": [(b"content-type", b"application/json")], "server": ("x", 1),
            "state": {CALLER: lambda: CALLER_ANN},
        }  # fmt: skip

        async def receive() -> Any:
            return {"type": "http.request", "body": json.dumps(said).encode(), "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        return sent[0]["status"], json.loads(sent[1]["body"])

    def lift(self) -> tuple[int, Any]:
        return self.post(f"/v1/quarantine/{ENTRY.id}/lift", why="rotated")

    def add(self) -> tuple[int, Any]:
        return self.post("/v1/quarantine", dns="b.example.org", why="leaked", seconds=60)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_who_lifts_what_and_why_is_said_before_anything_is_changed(world: World) -> None:
    world.fails = True

    status, said = world.lift()

    assert (status, said["error"]["code"]) == (503, "not_confirmed")
    assert quarantine_in(world.file).entries == ()
    line = f"admin: {ENTRY.id} is being lifted by {ANN}: rotated"
    assert line in world.said_at_hand_on


def test_the_name_of_what_is_lifted_does_nothing_to_whoever_reads_it(world: World) -> None:
    status, said = world.post("/v1/quarantine/\x1b[2J" + "x" * 500 + "/lift", why="x")

    assert (status, said["error"]["code"]) == (404, "no_such_entry")
    assert all("\x1b" not in line and len(line) < 200 for line in world.said)


def not_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes files, and not that of their folder which says where they are."""
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)


def test_what_is_written_and_may_not_last_is_in_force_and_not_said_to_be_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    not_synced(monkeypatch)

    for change in (world.add, world.lift):
        status, said = change()
        assert (status, said["error"]["code"]) == (503, "not_confirmed")

    assert [entry.dns for entry in world.list.current.entries] == ["b.example.org"]
    assert world.list.current == quarantine_in(world.file)


def test_a_list_that_cannot_be_read_after_it_was_written_is_not_said_to_be_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reread = world.list.reread

    def broken() -> None:
        world.file.write_bytes(b"{")  # by somebody else
        reread()

    monkeypatch.setattr(world.list, "reread", broken, raising=False)

    status, said = world.add()

    assert (status, said["error"]["code"]) == (503, "not_confirmed")


def test_a_change_that_somebody_else_undoes_is_not_said_to_be_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, reread = world.file.read_bytes(), world.list.reread

    def undone() -> None:
        world.file.write_bytes(before)
        reread()

    monkeypatch.setattr(world.list, "reread", undone, raising=False)

    for change in (world.add, world.lift):
        status, said = change()
        assert (status, said["error"]["code"]) == (503, "not_confirmed")


def test_a_list_that_cannot_be_changed_is_said_to_be_as_it_was(world: World) -> None:
    world.file.write_bytes(b"{")

    status, said = world.add()

    assert (status, said["error"]["code"]) == (503, "not_changed")
    assert world.list.current.entries == (ENTRY,)
