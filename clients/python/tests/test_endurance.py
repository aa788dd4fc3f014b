"""A client outlives what goes wrong around it: bursts, bad files, failed starts, forks, being forgotten."""

import asyncio
import gc
import os
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clients.python.tests.asking import KINDS, PATIENT, Proxy, client, endpoint, files, item, port_of
from pdp_client import AsyncClient, Client, ClosedError, CouldNotAnswerError, Timeouts
from pdp_client import core as core_module
from pdp_client.options import settings
from pdp_client.tls import TlsFiles, TlsWatch
from tests.e2e.running import Pki, Service, until


@pytest.fixture(params=KINDS, ids="-".join)
def kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture
def proxy(shared: Service, kind: tuple[str, str]) -> Iterator[Proxy]:
    found = Proxy(port_of(shared, kind[1]))
    yield found
    found.close()


def threads() -> int:
    return sum(thread.name == "pdp-client" for thread in threading.enumerate())


@pytest.mark.parametrize("overall", [0.002, 0.02, 0.1])
def test_bursts_that_are_given_up_leave_a_client_that_asks(shared: Service, pki: Pki, overall: float) -> None:
    async def go() -> bool:
        hasty = Timeouts(connect=1.0, read=1.0, overall=overall)
        async with AsyncClient([endpoint(shared.port)], tls=files(pki), timeouts=hasty, reuse=False) as asks:
            asked = []
            for _ in range(6):
                burst = (asks.decide(item()) for _ in range(150))
                asked += await asyncio.gather(*burst, return_exceptions=True)
            assert all(isinstance(each, CouldNotAnswerError) or each.allowed for each in asked)
            core = asks._core
            assert core is not None
            core._timeouts = PATIENT  # type: ignore[misc]
            found = await asks.decide(item())
            transport: Any = core._transport
            if transport._tasks:  # as the time-outs have it
                await asyncio.wait(transport._tasks)
            connections = transport._pool.connections
            assert all(each.is_idle() or each.is_closed() for each in connections)
            return found.allowed

    assert asyncio.run(go())


def test_a_burst_at_a_service_that_hangs_leaves_a_client_that_asks(
    kind: tuple[str, str], pki: Pki, proxy: Proxy
) -> None:
    hasty = Timeouts(connect=0.3, read=0.3, overall=0.5)
    with client(*kind, [proxy.port], pki, timeouts=hasty, reuse=False) as asks:
        proxy.flows.clear()
        with ThreadPoolExecutor(100) as many:
            burst = [many.submit(asks.decide, item()) for _ in range(200)]
            assert all(isinstance(each.exception(), CouldNotAnswerError) for each in burst)
        proxy.flows.set()
        until(lambda: answers(asks))


def answers(asks: Any) -> bool:
    try:
        return asks.decide(item()).allowed
    except CouldNotAnswerError:
        return False


def test_an_answer_that_trickles_is_given_up_and_its_connections_with_it(pki: Pki) -> None:
    async def go() -> None:
        asked = 0

        async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            asked += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            try:
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)
            except OSError:
                writer.close()

        tls = TlsWatch(files(pki)).current
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki.folder / "server.pem", pki.folder / "server-key.pem")
        server = await asyncio.start_server(trickle, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        quick = settings(
            [endpoint(port)], files(pki), {"timeouts": Timeouts(connect=0.3, read=0.1, overall=0.3)}
        )
        transport: Any = quick.make_transport(tls)
        first = transport._pool
        with pytest.raises(CouldNotAnswerError, match="did not end"):
            await transport.decide(endpoint(port), item(), explain=False)
        assert asked == 1
        assert transport._pool is not first
        await asyncio.sleep(0.05)
        assert not first.connections
        assert not transport._tasks
        await transport.close()
        server.close()

    asyncio.run(go())


def test_whoever_asks_while_the_client_is_closed_is_told_so(
    kind: tuple[str, str], pki: Pki, proxy: Proxy
) -> None:
    with client(*kind, [proxy.port], pki, reuse=False) as asks:
        assert asks.decide(item()).allowed
        proxy.flows.clear()
        with ThreadPoolExecutor(4) as many:
            asked = [many.submit(asks.decide, item()) for _ in range(4)]
            time.sleep(0.3)
            began = time.monotonic()
            asks.close()
            assert all(isinstance(each.exception(), ClosedError) for each in asked)
            assert time.monotonic() - began < 3


def test_roots_that_are_empty_for_a_moment_change_nothing_for_good(pki: Pki, tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("pep.pem", "pep-key.pem", "prod.pem")}
    for name, path in paths.items():
        path.write_bytes((pki.folder / name).read_bytes())
    tls = TlsFiles(*paths.values())
    watch = TlsWatch(tls)
    was = watch.current
    paths["prod.pem"].write_bytes(b"")
    assert not watch.look()
    assert watch.current is was
    paths["prod.pem"].write_bytes(b"\n" + (pki.folder / "prod.pem").read_bytes())
    assert watch.look()


def test_a_look_or_a_report_that_fails_is_not_the_last(
    shared: Service, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_module, "FILE_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(core_module, "REPORT_SECONDS", 0.02)
    looks, reports = [], []

    def look(_: TlsWatch) -> bool:
        looks.append(1)
        raise RuntimeError("odd")

    def take_times(*_: Any) -> dict[str, int]:
        reports.append(1)
        if len(reports) < 4:
            raise RuntimeError("odd")
        return {}

    with client("sync", "http", [shared.port], pki) as asks:
        monkeypatch.setattr(TlsWatch, "look", look)
        monkeypatch.setattr(type(asks._cache), "take_times", take_times)
        until(lambda: len(looks) > 3 and len(reports) > 3)
        assert asks.decide(item()).allowed


def test_a_start_that_fails_leaves_no_thread(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(_: Any) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(core_module.Core, "begin", begin)
    before = threads()
    asks = Client(["https://127.0.0.1:1"], tls=files(pki))
    for _ in range(3):
        with pytest.raises(RuntimeError):
            asks.decide(item())
    assert threads() == before


def test_a_client_without_what_its_transport_needs_is_not_made(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pdp_client.transports.grpc", None)
    with pytest.raises(ImportError, match=r"pdp-client\[grpc\]"):
        Client(["https://127.0.0.1:1"], tls=files(pki), transport="grpc")


def test_a_client_that_is_forgotten_ends_its_thread(shared: Service, pki: Pki) -> None:
    before = threads()
    for _ in range(3):
        asks = Client([endpoint(shared.port)], tls=files(pki), timeouts=PATIENT)
        assert asks.decide(item()).allowed
    del asks
    gc.collect()
    until(lambda: threads() == before)


def test_a_process_forked_from_one_that_uses_grpc_is_told_at_once(shared: Service, pki: Pki) -> None:
    with client("sync", "grpc", [port_of(shared, "grpc")], pki) as asks:
        assert asks.decide(item()).allowed
        child = os.fork()
        if child == 0:
            status = 1
            try:
                began = time.monotonic()
                asks.decide(item())
            except ClosedError as error:
                status = 0 if error.code == "forked" and time.monotonic() - began < 0.5 else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert asks.decide(item()).allowed
