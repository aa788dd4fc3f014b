"""Connections are accepted in turns, up to a bound, and with patience for what the machine lacks."""

import asyncio
import errno
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress

import pytest

from pdp.adapters.accepting import Acceptor

#: Connections that are open.
opened: set[asyncio.BaseTransport] = set()


class Open(asyncio.Protocol):
    """A connection that says hello."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        opened.add(transport)
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"hello")

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        opened.discard(self.transport)


class Unfair:
    """Says that others have fewer connections, so many times."""

    def __init__(self, times: int) -> None:
        self.times, self.told = times, []

    def has(self, connections: int) -> bool:
        self.told.append(connections)
        self.times -= 1
        return self.times >= 0


@asynccontextmanager
async def accepting(most: int = 10, balance: Unfair | None = None) -> AsyncIterator[tuple[str, int]]:
    opened.clear()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = Acceptor(
            listener,
            protocol=Open,
            context=lambda: None,
            connections=lambda: len(opened),
            most=most,
            balance=balance,
        )
        acceptor.start(16)
        yield listener.getsockname()
        acceptor.close()
        for transport in tuple(opened):
            transport.close()


async def says(address: tuple[str, int]) -> tuple[bytes, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        return await asyncio.wait_for(reader.read(5), 5), writer
    except ConnectionError:
        return b"", writer


def test_connections_beyond_the_bound_are_closed_at_once() -> None:
    async def run() -> None:
        async with accepting(most=2) as address:
            first, second, third = [await says(address) for _ in range(3)]
            assert [first[0], second[0], third[0]] == [b"hello", b"hello", b""]
            first[1].close()
            await asyncio.sleep(0.05)
            again = await says(address)
            assert again[0] == b"hello"
            for _, writer in (second, third, again):
                writer.close()

    asyncio.run(run())


def test_who_has_more_than_another_waits_and_then_accepts_all_the_same() -> None:
    async def run() -> None:
        balance = Unfair(1)
        async with accepting(balance=balance) as address:
            said, writer = await says(address)
            assert said == b"hello"
            assert balance.told[:2] == [0, 1]
            writer.close()

    asyncio.run(run())


@contextmanager
def few_files(spare: int) -> Iterator[None]:
    """So many more files can be opened and no more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as highest:
        limit = highest.fileno() + 1 + spare
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_without_descriptors_it_tries_again_later() -> None:
    async def run() -> None:
        async with accepting() as address:
            with ExitStack() as held, few_files(1):
                client = held.enter_context(socket.socket())
                client.setblocking(False)
                assert client.connect_ex(address) in {0, errno.EINPROGRESS}
                filler = held.enter_context(ExitStack())
                with suppress(OSError):
                    while True:
                        filler.enter_context(socket.socket())
                await asyncio.sleep(0.3)
                assert opened == set()
                filler.close()
                loop = asyncio.get_running_loop()
                assert await asyncio.wait_for(loop.sock_recv(client, 5), 5) == b"hello"

    asyncio.run(run())


def test_who_has_come_before_the_end_is_accepted() -> None:
    async def run() -> None:
        opened.clear()
        with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as held:
            acceptor = Acceptor(
                listener, protocol=Open, context=lambda: None, connections=lambda: len(opened), most=10
            )
            acceptor.start(16)
            # The loop does not turn meanwhile: they wait in the backlog.
            clients = [held.enter_context(socket.create_connection(listener.getsockname())) for _ in range(5)]
            await acceptor.finish()
            for client in clients:
                client.setblocking(False)
                loop = asyncio.get_running_loop()
                assert await asyncio.wait_for(loop.sock_recv(client, 5), 5) == b"hello"
            late = held.enter_context(socket.create_connection(listener.getsockname()))
            late.settimeout(0.2)
            with pytest.raises(TimeoutError):
                await asyncio.to_thread(late.recv, 5)
            for transport in tuple(opened):
                transport.close()

    asyncio.run(run())
