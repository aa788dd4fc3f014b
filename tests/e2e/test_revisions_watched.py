"""Revisions as they are published, over HTTP and over gRPC, in a running service."""

import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e.grpc_calls import call, channel, failure_of, grpc_port, streaming, to_question
from tests.e2e.running import (
    DEADLINE,
    PARTNER,
    PEP,
    POLICY,
    Pki,
    Service,
    ask,
    question,
    until,
)

ASKED = to_question(question()).SerializeToString()


@pytest.fixture
def running(pki: Pki, policies: Path) -> Iterator[Service]:
    service = Service(pki, policies, "--grpc", "127.0.0.1:0")
    yield service
    assert service.stop() == 0, service.log


def edit(service: Service, text: str) -> str:
    """Save a policy, wait until it is served; its revision."""
    mark = service.mark()
    (service.policies / "main.policy").write_text(text, encoding="utf-8")
    return service.wait_line("revision ", mark).split()[1].rstrip(":")


class Events:
    """Server-sent events, read as they come."""

    def __init__(self, connection: http.client.HTTPSConnection) -> None:
        connection.request("GET", "/v1/revisions")
        self.response = connection.getresponse()
        assert self.response.status == 200, self.response.read()
        assert self.response.headers["content-type"].startswith("text/event-stream")

    def next(self) -> dict[str, str]:
        """The fields of the next event; those of none at the end."""
        fields: dict[str, str] = {}
        while line := self.response.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        return fields


@contextmanager
def events(service: Service, caller: str = "pep") -> Iterator[Events]:
    connection = service.connect(caller)
    try:
        yield Events(connection)
    finally:
        connection.close()


def test_current_revision_comes_at_once_and_each_new_one_after_it(running: Service) -> None:
    first = ask(running).json["revision"]
    with (
        events(running) as told,
        channel(running.pki, grpc_port(running)) as on,
        streaming(on, "WatchRevisions", [b""]) as watching,
    ):
        over_http, over_grpc = [told.next()], [next(watching)]
        second = edit(running, POLICY.replace("/v1/export", "/v1/exports"))
        over_http.append(told.next())
        over_grpc.append(next(watching))
        third = edit(running, POLICY)
        over_http.append(told.next())
        over_grpc.append(next(watching))

    assert [json.loads(event["data"]) for event in over_http] == [
        {"revision": first, "number": 1},
        {"revision": second, "number": 2},
        {"revision": third, "number": 3},
    ]
    assert [(event["event"], event["id"]) for event in over_http] == [("revision", f"{n}") for n in (1, 2, 3)]
    messages = [v1.RevisionEvent.FromString(data).revision for data in over_grpc]
    assert [(message.revision, message.number) for message in messages] == [
        (first, 1),
        (second, 2),
        (third, 3),
    ]
    assert third == f"{first}~2"  # a revert is a new revision


def test_an_edit_with_errors_is_not_told(running: Service) -> None:
    with events(running) as told:
        told.next()
        mark = running.mark()
        (running.policies / "main.policy").write_text("language 1\nallow everyone\n", encoding="utf-8")
        running.wait_line("still serving", mark)
        second = edit(running, POLICY.replace("/v1/export", "/v1/exports"))

        assert json.loads(told.next()["data"]) == {"revision": second, "number": 2}


def test_who_reads_slowly_gets_the_newest(running: Service) -> None:
    """Read by nobody, a stream fills up; what is between may be missed, the newest is not."""
    with events(running) as told:
        told.next()
        for n in range(6):
            newest = edit(running, POLICY.replace("/v1/export", f"/v1/export{n}"))
        numbers = []
        while not numbers or numbers[-1][1] != newest:
            body = json.loads(told.next()["data"])
            numbers.append((body["number"], body["revision"]))

    assert numbers[-1] == (7, newest)
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("name", "of_partner", "uri", "code"),
    [
        ("w-unlisted", True, f"spiffe://{PARTNER}/x", "caller_not_listed"),
        ("w-minted", True, PEP, "caller_untrusted"),
    ],
)
def test_watching_takes_a_listed_caller(
    running: Service, name: str, uri: str, code: str, *, of_partner: bool
) -> None:
    running.pki.issue(name, running.pki.partner_root if of_partner else None, uris=[uri])

    got = running.send("", caller=name, method="GET", path="/v1/revisions")
    with channel(running.pki, grpc_port(running), name) as on:
        over_grpc = call(on, "WatchRevisions", b"")

    assert (got.status, got.code) == (403, code)
    assert over_grpc.code == code


def test_caller_that_is_listed_no_more_is_told_so_instead(running: Service) -> None:
    unlisted = POLICY.replace("prod/ns/pdp/sa/pep", "prod/ns/pdp/sa/other").replace("{ns}", "shop")
    assert unlisted.count("caller prod/ns/shop/sa/{sa}") == 1  # the entry for sidecars lists nobody else
    with events(running) as told, channel(running.pki, grpc_port(running)) as on:
        with streaming(on, "WatchRevisions", [b""]) as watching:
            told.next()
            next(watching)
            edit(running, unlisted)

            last = told.next()
            with pytest.raises(grpc.RpcError) as caught:
                next(watching)

        assert last["event"] == "error"
        assert json.loads(last["data"])["error"]["code"] == "caller_not_listed"
        assert told.next() == {}
    assert failure_of(caught.value).code == "caller_not_listed"


def test_clients_that_go_make_room(running: Service) -> None:
    """More than may watch at a time, one after the other."""
    for _ in range(30):
        with events(running) as told:
            told.next()
    with channel(running.pki, grpc_port(running)) as on:
        for _ in range(30):
            with streaming(on, "WatchRevisions", [b""]) as watching:
                next(watching)

    running.assert_still_answers()


# -- the end ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_streams_end_with_the_service_and_hold_it_up_no_longer(running: Service, how: signal.Signals) -> None:
    def questions() -> Iterator[bytes]:
        yield ASKED
        time.sleep(DEADLINE)

    connection = running.connect()
    told = Events(connection)
    told.next()
    with channel(running.pki, grpc_port(running)) as on:
        health = on.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=2 * DEADLINE)
        with (
            streaming(on, "WatchRevisions", [b""]) as watching,
            streaming(on, "DecideStream", questions()) as asking,
        ):
            next(watching)
            next(asking)
            states = [HealthCheckResponse.FromString(next(health)).status]
            began = time.monotonic()
            running.process.send_signal(how)

            assert told.next() == {}
            connection.close()
            assert list(watching) == []
            with pytest.raises(grpc.RpcError) as caught:
                next(asking)
            states.append(HealthCheckResponse.FromString(next(health)).status)

    assert failure_of(caught.value).code == "ending"
    assert states == [HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING]
    assert running.process.wait(DEADLINE) == 0
    assert time.monotonic() - began < 5, "the service waited for streams that nobody ends"


def test_call_in_flight_is_answered_at_the_end(running: Service) -> None:
    """A question that waits for a revision, when the service is told to end."""
    waiting = to_question(question(at_least="f" * 16)).SerializeToString()
    with channel(running.pki, grpc_port(running)) as on:
        asked = on.unary_unary("/pdp.v1.DecisionService/Decide").future(waiting, timeout=DEADLINE)
        time.sleep(0.3)
        running.process.send_signal(signal.SIGTERM)

        with pytest.raises(grpc.RpcError) as caught:
            asked.result()

    assert failure_of(caught.value).code == "revision_not_seen"
    assert running.process.wait(DEADLINE) == 0


# -- start -----------------------------------------------------------------------------


def test_taken_address_is_named_with_its_option(pki: Pki, policies: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(AssertionError) as caught:
            Service(pki, policies, "--grpc", address)

    assert f"{address} is taken; choose another address with --grpc HOST:PORT" in str(caught.value)


def test_two_services_never_share_one_address(running: Service, pki: Pki, policies: Path) -> None:
    """grpcio would let them, and callers would be answered by either."""
    with pytest.raises(AssertionError) as caught:
        Service(pki, policies, "--grpc", f"127.0.0.1:{grpc_port(running)}")

    assert "is taken" in str(caught.value)


def test_grpc_is_off_unless_it_is_asked_for(pki: Pki, policies: Path) -> None:
    service = Service(pki, policies)
    try:
        until(lambda: "serving revision" in service.log)
        mapped = Path(f"/proc/{service.process.pid}/maps").read_text()
    finally:
        service.stop()

    assert "gRPC" not in service.log
    assert "cygrpc" not in mapped, "grpcio was loaded, and nobody asked for it"
