"""The bounds of a connection that take too long to wait for in a running service, made short.

The listener is the real one, over real TLS, in a thread of this process.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from pdp.adapters import bounded, server
from pdp.adapters.binding import AddressInUseError, bind
from pdp.adapters.connection import authenticated
from pdp.adapters.server import Listener
from pdp.adapters.tls import ServerTls, read_credential
from pdp.identity.caller import Caller
from pdp.identity.trust import load_trust
from pdp.limits import CONNECTION_JITTER
from pdp.service.decision_service import DecisionService
from pdp.service.known_callers import KnownCallers
from pdp.store.bundle import read_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from pdp.vocabulary import Millis
from tests.e2e.running import (
    PROD,
    Pki,
    Service,
    make_policies,
    parse_replies,
    question,
    raw,
    request_bytes,
    send,
)

ARRIVAL, CONNECTION, KEEP_ALIVE = 0.3, 0.5, 0.6
MOMENT = 0.2  # for the timers of a busy machine; less than what is left of an old connection's last chance


def now() -> Millis:
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded, "MAX_ARRIVAL_SECONDS", ARRIVAL)
        patch.setattr(server, "_KEEP_ALIVE_SECONDS", KEEP_ALIVE)
        pki = Pki(tmp_path_factory.mktemp("pki"))
        policies = make_policies(tmp_path_factory.mktemp("policies") / "set")
        loader = Loader()
        snapshot = loader.load(read_bundle(policies), now=now()).snapshot
        assert snapshot is not None
        publisher = Publisher(loader, snapshot, on_event=lambda _: None, now=now())
        listener = Listener(
            DecisionService(publisher, clock=now, connection_seconds=CONNECTION),
            peers=ServerTls(
                read_credential(pki.folder / "server.pem", pki.folder / "server-key.pem"),
                load_trust({PROD: pki.folder / "prod.pem"}),
            ),
            clock=now,
        )
        bound = bind("127.0.0.1", 0)
        ready = threading.Event()
        thread = threading.Thread(target=lambda: listener.run(bound, ready=ready.set))
        # The callers' half of `Service`, without its process.
        asking = cast("Service", SimpleNamespace(pki=pki, port=bound.getsockname()[1]))
        asking.tls = lambda name="pep": Service.tls(asking, name)  # type: ignore[method-assign]
        asking.connect = lambda name="pep": Service.connect(asking, name)  # type: ignore[method-assign]
        thread.start()
        assert ready.wait(10)
        yield asking
        listener._server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


def test_slow_body_is_refused_and_never_decided(service: Service) -> None:
    began = time.monotonic()
    with service.tls() as sock:
        received = raw(sock, request_bytes(b'{"principal"', "content-length: 200"))

    (reply,) = parse_replies(received)
    assert (reply.status, reply.code) == (408, "too_slow")
    assert ARRIVAL <= time.monotonic() - began < ARRIVAL + 2


def test_body_that_trickles_is_refused_all_the_same(service: Service) -> None:
    """Time is counted from the first byte, not from the last."""
    with service.tls() as sock:
        sock.sendall(request_bytes(b"", "content-length: 1000"))
        for _ in range(12):
            try:
                sock.sendall(b" ")
            except OSError:
                break
            time.sleep(ARRIVAL / 6)
        received = raw(sock, b"")

    (reply,) = parse_replies(received)
    assert reply.code == "too_slow"


def test_slow_head_is_refused(service: Service) -> None:
    with service.tls() as sock:
        (reply,) = parse_replies(raw(sock, b"POST /v1/decide HTTP/1.1\r\nhost: "))

    assert (reply.status, reply.code) == (408, "too_slow")


def test_slow_body_of_a_refused_request_just_ends(service: Service) -> None:
    with service.tls() as sock:
        data = request_bytes(b"{", "content-length: 100").replace(b"application/json", b"text/plain")
        (reply,) = parse_replies(raw(sock, data.replace(b"connection: close\r\n", b"")))

    assert reply.status == 415


def test_empty_lines_keep_no_connection_open(service: Service) -> None:
    began = time.monotonic()
    with service.tls() as sock:
        raw(sock, b"\r\n")

    assert time.monotonic() - began < ARRIVAL + 2


def test_connection_that_asks_nothing_ends(service: Service) -> None:
    began = time.monotonic()
    with service.tls() as sock:
        received = raw(sock, b"")

    assert received == b""
    assert KEEP_ALIVE <= time.monotonic() - began < KEEP_ALIVE + 2


def test_old_connection_ends_with_an_answer(service: Service) -> None:
    """Nobody is cut off: the answer says that it is the last."""
    opened = service.connect()
    young = send(opened, question())
    time.sleep(CONNECTION * (1 + CONNECTION_JITTER) + MOMENT)
    old = send(opened, question())
    opened.close()

    assert young.status == old.status == 200
    assert "connection" not in young.headers
    assert old.headers["connection"] == "close"


def test_answers_in_time_are_not_touched(service: Service) -> None:
    opened = service.connect()
    for _ in range(3):
        assert send(opened, question()).json["decision"] == "allow"
        time.sleep(0.05)
    opened.close()


def test_no_chain_is_no_caller() -> None:
    """A transport without TLS, or without a certificate, has nobody at its other end."""

    class Plain(asyncio.BaseTransport):
        pass

    found = authenticated(Plain(), KnownCallers(lambda: load_trust({}), now))

    assert not isinstance(found, Caller)


def test_address_in_use_is_told_apart() -> None:
    with bind("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(AddressInUseError):
            bind("127.0.0.1", first.getsockname()[1])
