"""Asking by a schedule, whether answers come or not: so many questions a second, over some connections.

Each question has an instant at which it is meant to be sent, and its latency counts from there. Where a
server stalls, the questions that had to wait for a connection meanwhile count with all of their waiting:
asking only as fast as answers come would leave them out (coordinated omission). A connection carries one
question at a time.

The generator is on the same machine, takes a core for itself, and has to keep up. `late_p99_us` says how
long after its instant it looked at a question: where that is not small beside the latencies, they are
the generator's own.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import uvloop

__all__ = ["Figures", "asked_by_schedule", "run"]

_BEGINS: Final = 0.05  # seconds until the first
_DRAIN: Final = 10.0  # seconds for answers after the last question
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


@dataclass(frozen=True)
class Figures:
    """What came of it; latencies in microseconds, from the intended instant."""

    asked: int
    failed: int
    per_second: float
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    late_p99_us: float


class _Schedule:
    """What is due, who is free to ask it, and what has come back."""

    def __init__(self, requests: Sequence[bytes], rate: float, number: int, wanted: bytes) -> None:
        self.requests, self.rate, self.number, self.wanted = requests, rate, number, wanted
        self.clock = time.perf_counter  # the event loop's own counts milliseconds
        self.first = self.clock() + _BEGINS
        self.due: deque[int] = deque()
        self.free: list[_Connection] = []
        self.seen = self.failed = 0
        self.latencies: list[float] = []
        self.late: list[float] = []
        self.done = asyncio.Event()

    def intended(self, number: int) -> float:
        return self.first + number / self.rate

    def look(self) -> None:
        """Take what is due by now, and ask what there are connections for."""
        now = self.clock()
        while self.seen < self.number and self.intended(self.seen) <= now:
            self.late.append(now - self.intended(self.seen))
            self.due.append(self.seen)
            self.seen += 1
        while self.due and self.free:
            number = self.due.popleft()
            self.free.pop().ask(number, self.requests[number % len(self.requests)])

    def answered(self, number: int, *, good: bool) -> None:
        self.latencies.append(self.clock() - self.intended(number))
        self.failed += not good
        if len(self.latencies) == self.number:
            self.done.set()


class _Connection(asyncio.Protocol):
    """One question at a time; the next one that is due as soon as an answer is there."""

    def __init__(self, schedule: _Schedule) -> None:
        self._schedule = schedule
        self._got, self._end, self._number = b"", -1, -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._schedule.free.append(self)

    def ask(self, number: int, request: bytes) -> None:
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._end < 0:
            head = self._got.find(_HEAD_END)
            if head < 0:
                return
            lines = self._got[:head].lower()
            length = lines.index(_LENGTH) + len(_LENGTH)
            self._end = head + len(_HEAD_END) + int(lines[length:].split(b"\r\n", 1)[0])
        if len(self._got) < self._end:
            return
        good = self._got.startswith(b"HTTP/1.1 200") and self._schedule.wanted in self._got
        number = self._number
        self._got, self._end, self._number = b"", -1, -1
        schedule = self._schedule
        schedule.answered(number, good=good)
        schedule.free.append(self)
        if schedule.due:
            schedule.look()

    def connection_lost(self, _: Exception | None) -> None:
        if self._number >= 0:
            self._schedule.answered(self._number, good=False)


async def asked_by_schedule(
    port: int,
    requests: Sequence[bytes],
    rate: float,
    seconds: float,
    connections: int,
    wanted: bytes = b"",
) -> Figures:
    """Ask so many a second for so long; an answer without what is wanted has failed."""
    loop = asyncio.get_running_loop()
    schedule = _Schedule(requests, rate, max(1, round(rate * seconds)), wanted)
    transports = []
    for _ in range(connections):
        transport, _ = await loop.create_connection(lambda: _Connection(schedule), "127.0.0.1", port)
        transports.append(transport)
    schedule.first = schedule.clock() + _BEGINS
    while schedule.seen < schedule.number:
        schedule.look()
        await asyncio.sleep(0)  # no timer: the event loop's are of milliseconds
    schedule.look()
    await asyncio.wait_for(schedule.done.wait(), _DRAIN)
    took = schedule.clock() - schedule.first
    for transport in transports:
        transport.close()
    return _figures(schedule, took)


def _figures(schedule: _Schedule, took: float) -> Figures:
    latencies, late = sorted(schedule.latencies), sorted(schedule.late)

    def at(times: Sequence[float], share: float) -> float:
        return times[min(len(times) - 1, int(len(times) * share))] * 1e6

    return Figures(
        asked=len(latencies),
        failed=schedule.failed,
        per_second=len(latencies) / took,
        p50_us=at(latencies, 0.5),
        p99_us=at(latencies, 0.99),
        p999_us=at(latencies, 0.999),
        max_us=at(latencies, 1.0),
        late_p99_us=at(late, 0.99),
    )


def run(
    port: int, requests: Sequence[bytes], rate: float, seconds: float, connections: int, wanted: bytes = b""
) -> Figures:
    """The same, in an event loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asked_by_schedule(port, requests, rate, seconds, connections, wanted))
