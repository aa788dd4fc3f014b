"""Connections end by age, over HTTP and gRPC, and nobody who asks notices."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.limits import CONNECTION_JITTER, LAST_CHANCE_SECONDS, MAX_ARRIVAL_SECONDS
from tests.e2e import http2
from tests.e2e.grpc_calls import call, channel, grpc_port, to_question
from tests.e2e.running import Pki, Service, make_policies, question, send
from tests.e2e.trusting import rest_of

AGE = 1.0
OLDEST = AGE * (1 + CONNECTION_JITTER)
ASKED = to_question(question())
GOAWAY = 7


@pytest.fixture(scope="module")
def service(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("aged")
    (folder / "pdp.toml").write_text(f"[limits]\nconnection_seconds = {AGE}\n")
    service = Service(
        pki, make_policies(folder / "set"), "--grpc", "127.0.0.1:0", "--config", str(folder / "pdp.toml")
    )
    yield service
    service.assert_still_answers()
    assert service.stop() == 0, service.log


def test_answer_of_an_old_connection_is_its_last(service: Service) -> None:
    with closing(service.connect()) as opened:
        young = send(opened, question())
        time.sleep(OLDEST)
        old = send(opened, question())

    assert young.json["decision"] == old.json["decision"] == "allow"
    assert "connection" not in young.headers
    assert old.headers["connection"] == "close"


def test_old_connection_that_asks_nothing_has_a_moment_and_is_closed(service: Service) -> None:
    with closing(service.connect()) as opened:
        send(opened, question())
        received, seconds = rest_of(opened.sock)

    assert received == b""
    assert LAST_CHANCE_SECONDS < seconds < OLDEST + LAST_CHANCE_SECONDS + 3


def test_watched_revisions_end_with_the_age(service: Service) -> None:
    with closing(service.connect()) as opened:
        opened.request("GET", "/v1/revisions")
        began = time.monotonic()
        body = opened.getresponse().read()  # to its orderly end

    assert body.startswith(b"event: revision\n")
    assert b"event: error" not in body
    assert time.monotonic() - began < OLDEST + 18  # the stream looks at its age when it tells something


def test_grpc_connection_is_told_to_go_and_closed_if_it_does_not(service: Service, pki: Pki) -> None:
    """This one does not even say that it was told."""
    with http2.tls(pki, grpc_port(service)) as sock:
        began = time.monotonic()
        sock.sendall(http2.grpc_request(b"/pdp.v1.DecisionService/Decide", ASKED.SerializeToString()))
        received = http2.read_all(sock, wait=20)
        took = time.monotonic() - began

    assert b"web.shop/read-item" in received
    assert GOAWAY in kinds(received)
    assert took < OLDEST + MAX_ARRIVAL_SECONDS + 3  # the grace that calls in flight have


def kinds(received: bytes) -> list[int]:
    """The types of HTTP/2 frames."""
    found = []
    while len(received) >= 9:
        found.append(received[3])
        received = received[9 + int.from_bytes(received[:3]) :]
    return found


def test_grpc_calls_go_on_over_one_channel(service: Service, pki: Pki) -> None:
    until = time.monotonic() + 3 * OLDEST
    answers = []
    with channel(pki, grpc_port(service)) as on:
        while time.monotonic() < until:
            answers.append(call(on, "Decide", ASKED, v1.Answer))
            time.sleep(0.05)

    assert {type(answer) for answer in answers} == {v1.Answer}
