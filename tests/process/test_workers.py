"""Workers that cannot be begun are tried again, later each time, and nobody waits for that at the end."""

import asyncio
import os
import signal
import time
from itertools import pairwise

import pytest

from pdp.process import workers
from pdp.process.colleague import Colleague
from pdp.process.panel import Panel
from pdp.process.workers import Version, Workers

PAUSE = 0.05


def no_process(tried: list[float]) -> Colleague:
    tried.append(time.monotonic())
    raise OSError(11, "no more processes")


async def try_for(seconds: float, tried: list[float], said: list[str]) -> float:
    """Let them try for a while; how long it takes to end that."""
    parcel, panel = os.memfd_create("policies"), Panel.make(2)
    team = Workers(
        1,
        Version(number=1, revision="r", parcel=parcel, confirmed_at=0),
        panel,
        begin=lambda _: no_process(tried),
        say=said.append,
        changed=lambda _: None,
        failed=said.append,
    )
    team.start()
    await asyncio.sleep(seconds)
    began = time.monotonic()
    await team.end(signal.SIGTERM, 20)
    os.close(parcel)
    os.close(panel.file)
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
