"""Bounds of gRPC that take too long to wait for in a running service, made short; and defects.

The listener is the real one, over real TLS, in a thread of this process.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from pdp.adapters import watching
from pdp.adapters.grpc import handlers
from pdp.adapters.grpc.server import GrpcListener
from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.adapters.tls import ServerCredentialError, ServerTls, read_credential
from pdp.identity.trust import load_trust
from pdp.service.decision_service import DecisionService
from pdp.store.bundle import read_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from pdp.vocabulary import Millis
from tests.e2e.grpc_calls import call, channel, failure_of, streaming, to_question
from tests.e2e.running import PROD, Pki, make_policies, question

ARRIVAL, IDLE, HEARTBEAT = 0.3, 0.5, 0.05
ASKED = to_question(question()).SerializeToString()


def now() -> Millis:
    return time.time_ns() // 1_000_000


@contextmanager
def listening(pki: Pki, service: DecisionService) -> Iterator[int]:
    """A listener of this process; its port."""
    listener = GrpcListener(
        service,
        address=("127.0.0.1", 0),
        tls=ServerTls(
            read_credential(pki.folder / "server.pem", pki.folder / "server-key.pem"),
            load_trust({PROD: pki.folder / "prod.pem"}),
        ),
        clock=now,
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(listener.start(), loop).result(10)
        yield int(listener.address.rpartition(":")[2])
    finally:
        asyncio.run_coroutine_threadsafe(listener.stop(1), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def on(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handlers, "MAX_ARRIVAL_SECONDS", ARRIVAL)
        patch.setattr(handlers, "MAX_STREAM_IDLE_SECONDS", IDLE)
        patch.setattr(watching, "WATCH_HEARTBEAT_SECONDS", HEARTBEAT)
        policies = make_policies(tmp_path_factory.mktemp("policies") / "set")
        loader = Loader()
        snapshot = loader.load(read_bundle(policies), now=now()).snapshot
        assert snapshot is not None
        service = DecisionService(Publisher(loader, snapshot, on_event=lambda _: None, now=now()), clock=now)
        with listening(pki, service) as port, channel(pki, port) as on:
            yield on


def silent(*first: bytes) -> Iterator[bytes]:
    yield from first
    time.sleep(8 * IDLE)


@pytest.mark.parametrize("method", ["Decide", "DecideBatch", "WatchRevisions"])
def test_call_that_asks_nothing_is_not_waited_for(on: grpc.Channel, method: str) -> None:
    began = time.monotonic()
    with streaming(on, method, silent()) as stream, pytest.raises(grpc.RpcError) as caught:
        next(stream)

    assert ARRIVAL <= time.monotonic() - began < 10 * ARRIVAL
    assert (failure_of(caught.value).status, failure_of(caught.value).code) == ("UNAVAILABLE", "too_slow")


def test_stream_that_asks_nothing_more_is_ended(on: grpc.Channel) -> None:
    with streaming(on, "DecideStream", silent(ASKED)) as stream:
        first = v1.Result.FromString(next(stream))
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)

    assert first.answer.decision == v1.DECISION_ALLOW
    assert failure_of(caught.value).code == "too_slow"


def test_silence_is_filled_with_heartbeats(on: grpc.Channel) -> None:
    with streaming(on, "WatchRevisions", [b""]) as stream:
        kinds = [v1.RevisionEvent.FromString(next(stream)).WhichOneof("event") for _ in range(4)]

    assert kinds == ["revision", "heartbeat", "heartbeat", "heartbeat"]


class Broken:
    """A service of which everything fails."""

    connection_seconds = 60.0

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"secret of {name}")


@pytest.mark.parametrize("method", ["Decide", "DecideBatch", "DecideStream", "WatchRevisions"])
def test_defect_is_internal_and_tells_nothing(
    pki: Pki, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.ERROR),
        listening(pki, cast("DecisionService", Broken())) as port,
        channel(pki, port) as on,
    ):
        got = call(on, method, b"" if method == "WatchRevisions" else ASKED)

    assert (got.status, got.code) == ("INTERNAL", "internal")
    assert "secret" not in got.message
    assert "secret of" in caplog.text  # the operator is told


def test_certificate_that_cannot_be_read_is_named(pki: Pki, tmp_path: Path) -> None:
    with pytest.raises(ServerCredentialError, match=r"none\.pem: cannot be read"):
        read_credential(tmp_path / "none.pem", pki.folder / "server-key.pem")
