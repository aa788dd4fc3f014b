"""Workers that cannot be begun are tried again, later each time, and nobody waits for that at the end; and
what they are told of certificates comes in the order of what is in force."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from pdp.process import workers
from pdp.process.colleague import Colleague
from pdp.process.images import Parcel
from pdp.process.panel import Panel
from pdp.process.workers import Version, Workers

PAUSE = 0.05


async def no_process(tried: list[float]) -> Colleague:
    tried.append(time.monotonic())
    raise OSError(11, "no more processes")


@contextmanager
def made(begin: Callable[[int], Awaitable[Colleague]], said: list[str]) -> Iterator[Workers]:
    """One worker that is not begun yet."""
    parcel, panel = Parcel((os.memfd_create("policies"),)), Panel.make(2)
    yield Workers(
        1,
        Version(number=1, revision="r", parcel=parcel, confirmed_at=0),
        panel,
        begin=begin,
        say=said.append,
        changed=lambda _: None,
        failed=said.append,
    )
    parcel.close()
    os.close(panel.file)


async def try_for(seconds: float, tried: list[float], said: list[str]) -> float:
    """Let them try for a while; how long it takes to end that."""
    with made(lambda _: no_process(tried), said) as team:
        team.start()
        await asyncio.sleep(seconds)
        began = time.monotonic()
        await team.end(signal.SIGTERM, 20)
        return time.monotonic() - began


def test_each_pause_is_twice_as_long_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORKER_PAUSE_SECONDS", PAUSE)
    monkeypatch.setattr(workers, "MAX_WORKER_PAUSE_SECONDS", 4 * PAUSE)
    tried: list[float] = []
    said: list[str] = []

    asyncio.run(try_for(1.5, tried, said))

    pauses = [after - before for before, after in pairwise(tried)]
    assert [pause >= least for pause, least in zip(pauses, (PAUSE, 2 * PAUSE, 4 * PAUSE), strict=False)] == [
        True, True, True
    ]  # fmt: skip
    assert 4 <= len(tried) <= 9  # 20 if it did not wait longer each time
    assert set(said) == {"worker 0 cannot be begun: no more processes"}


def test_the_end_waits_for_no_pause() -> None:
    tried: list[float] = []

    assert asyncio.run(try_for(0.1, tried, [])) < workers.WORKER_PAUSE_SECONDS / 2
    assert len(tried) == 1


class Hearing:
    """Stands for a worker that answers: what it was handed, in order."""

    def __init__(self) -> None:
        self.slot, self.answers = 0, True
        self.taken: list[bytes] = []

    async def renew(self, _: int, file: int) -> None:
        self.taken.append(os.pread(file, 100, 0))
        await asyncio.sleep(0)


def test_of_two_changes_of_certificates_the_last_that_is_told_is_the_one_in_force() -> None:
    """Threads hand over what each has changed: whoever is slow must not bring back what is replaced."""
    in_force, worker = [b"old root"], Hearing()

    def pack() -> int:
        file = os.memfd_create("certificates")
        os.write(file, in_force[0])
        return file

    async def run() -> None:
        with made(lambda _: no_process([]), []) as team:
            team._alive.add(worker)  # type: ignore[arg-type]
            slow = team.renew(pack)  # a certificate was renewed while the root was there
            in_force[0] = b"no root"
            await asyncio.gather(team.renew(pack), slow)

    asyncio.run(run())

    assert worker.taken == [b"no root", b"no root"]
