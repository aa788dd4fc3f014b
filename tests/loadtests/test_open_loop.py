"""Asking by a schedule: a latency counts from the instant that was meant, whatever the server does."""

import asyncio
import time
from typing import ClassVar

from loadtests.bench.open_loop import Figures, asked_by_schedule

REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RATE, SECONDS, CONNECTIONS, STALL = 400, 1.5, 2, 0.25


class Stalling(asyncio.Protocol):
    """Answers everything at once, but for one stall of the whole server."""

    stall_at: float
    made: ClassVar[list[asyncio.Transport]] = []
    status = ANSWER

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.made.append(transport)

    def data_received(self, data: bytes) -> None:
        if time.perf_counter() > Stalling.stall_at:
            Stalling.stall_at = float("inf")
            time.sleep(STALL)
        self.transport.write(type(self).status * data.count(b"\r\n\r\n"))


class Refusing(Stalling):
    status = ANSWER.replace(b"200 OK", b"503 No")


async def figures(server: type[Stalling], *, stalls: bool) -> Figures:
    loop = asyncio.get_running_loop()
    # The server has a thread of its own: its stall must not be the generator's.
    ready: asyncio.Future[int] = loop.create_future()
    own = asyncio.new_event_loop()

    def serve() -> None:
        listening = own.run_until_complete(own.create_server(server, "127.0.0.1", 0))
        loop.call_soon_threadsafe(ready.set_result, listening.sockets[0].getsockname()[1])
        own.run_forever()
        listening.close()
        while server.made:
            server.made.pop().abort()
        own.run_until_complete(asyncio.sleep(0.01))
        own.close()

    thread = loop.run_in_executor(None, serve)
    port = await ready
    Stalling.stall_at = time.perf_counter() + SECONDS / 2 if stalls else float("inf")
    try:
        return await asked_by_schedule(port, [REQUEST], RATE, SECONDS, CONNECTIONS)
    finally:
        own.call_soon_threadsafe(own.stop)
        await thread


def test_a_stall_counts_for_all_who_had_to_wait() -> None:
    """Of 600 questions a hundred were meant to be asked during it; only two were on their way."""
    found = asyncio.run(figures(Stalling, stalls=True))

    assert found.asked == round(RATE * SECONDS)
    assert found.failed == 0
    assert found.max_us > STALL * 1e6 * 0.9
    assert found.p99_us > STALL * 1e6 * 0.7


def test_without_a_stall_nobody_waits_so_long() -> None:
    found = asyncio.run(figures(Stalling, stalls=False))

    assert found.failed == 0
    assert found.p50_us < STALL * 1e6 * 0.5


def test_other_statuses_are_failures() -> None:
    found = asyncio.run(figures(Refusing, stalls=False))

    assert found.failed == found.asked == round(RATE * SECONDS)
