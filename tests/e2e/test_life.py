"""A service with settings of its own: probes, an orderly end, load that is turned away, the decision log."""

import http.client
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e.grpc_calls import call, channel, grpc_port, streaming, to_question
from tests.e2e.running import (
    Pki,
    Service,
    make_policies,
    parse_replies,
    question,
    raw,
    request_bytes,
    send,
    until,
)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return tmp_path / "pdp.toml"


def serve(pki: Pki, policies: Path, settings: Path, text: str) -> Service:
    settings.write_text(text)
    return Service(pki, policies, "--config", str(settings))


@pytest.fixture
def served(pki: Pki, policies: Path, settings: Path) -> Iterator[Service]:
    service = serve(
        pki, policies, settings, '[health]\nlisten = "127.0.0.1:0"\n[drain]\ngrace_seconds = 1.5\n'
    )
    yield service
    service.stop(signal.SIGINT)


def probe(service: Service, path: str = "/health/ready", method: str = "GET") -> tuple[int, bytes]:
    line = service.wait_line("answering probes on http://")
    host, _, port = line.split("http://")[1].partition("/")[0].partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    connection.request(method, path)
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, body


# -- probes --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health/fresh"])
def test_probes_are_answered_without_a_certificate(served: Service, path: str) -> None:
    assert probe(served, path) == (200, b"yes\n")
    assert probe(served, path, "HEAD") == (200, b"")
    assert probe(served, path, "POST")[0] == 405


@pytest.mark.parametrize("path", ["/", "/metrics", "/v1/decide", "/health", "/health/ready/", "/docs"])
def test_the_listener_for_probes_has_nothing_else(served: Service, path: str) -> None:
    assert probe(served, path)[0] == 404


def test_whatever_is_sent_to_it_the_service_lives(served: Service) -> None:
    host, _, port = served.wait_line("http://").split("http://")[1].partition("/")[0].partition(":")
    for data in (b"\0" * 100, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000, b"\x16\x03\x01\x02\x00"):
        with socket.create_connection((host, int(port)), 5) as sock:
            sock.sendall(data)
            sock.settimeout(1)
            with suppress(OSError):
                sock.recv(4096)

    assert probe(served)[0] == 200
    served.assert_still_answers()


# -- the end -------------------------------------------------------------------------------


def test_a_service_that_is_told_to_end_is_not_ready_and_answers_for_a_while(served: Service) -> None:
    probe(served)
    with closing(served.connect()) as connection:
        assert send(connection, question()).json["decision"] == "allow"

        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        while probe(served)[0] != 503:
            assert time.monotonic() - began < 1
        assert probe(served, "/health/live") == (200, b"yes\n")
        assert served.send(question()).json["decision"] == "allow"  # a new connection
        assert send(connection, question()).json["decision"] == "allow"

    assert served.process.wait(10) == 0
    assert time.monotonic() - began >= 1.4


def test_a_second_signal_ends_it_at_once(served: Service) -> None:
    began = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    while probe(served)[0] != 503:
        assert time.monotonic() - began < 1
    served.process.send_signal(signal.SIGTERM)

    assert served.process.wait(10) == 0
    assert time.monotonic() - began < 1.3


def test_a_question_on_its_way_when_the_service_ends_is_answered_and_is_the_last(
    pki: Pki, policies: Path, settings: Path
) -> None:
    """Without a grace period: what was idle has a moment, and so has who has come and is not greeted yet."""
    service = serve(pki, policies, settings, "")
    with closing(service.connect()) as idle, socket.create_connection(("127.0.0.1", service.port), 10) as new:
        assert send(idle, question()).json["decision"] == "allow"
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.4)  # by then it has begun to end
        with pki.context("pep").wrap_socket(new, server_hostname="127.0.0.1") as greeted:
            body = json.dumps(question()).encode()
            [last] = parse_replies(raw(greeted, request_bytes(body, f"content-length: {len(body)}")))
        answered = send(idle, question())

    assert (answered.json["decision"], answered.headers["connection"]) == ("allow", "close")
    assert (last.json["decision"], last.headers["connection"]) == ("allow", "close")
    assert service.stop() == 0


# -- metrics -------------------------------------------------------------------------------


def test_metrics_are_for_the_callers_that_the_settings_name(
    pki: Pki, policies: Path, settings: Path, tmp_path: Path
) -> None:
    reader = "spiffe://prod.example.org/ns/pdp/sa/pep"
    text = f'[metrics]\nreaders = ["{reader}"]\n[decision_log]\nto = "{tmp_path / "log"}"\n'
    service = serve(pki, policies, settings, text)
    try:
        for _ in range(3):
            service.send(question())
        page = service.send(b"", method="GET", path="/metrics")

        assert page.status == 200
        assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert b'pdp_decisions_total{decision="allow",reason="allowed",service="web.shop"} 3.0' in page.body
        assert b"pdp_log_decided_total 3.0" in page.body
        assert b'pdp_certificate_expiry_timestamp_seconds{certificate="server"}' in page.body
        assert b"pdp_reloads_total" in page.body
    finally:
        service.stop(signal.SIGINT)


def test_nobody_else_reads_them(served: Service) -> None:
    refused = served.send(b"", method="GET", path="/metrics")

    assert (refused.status, refused.code) == (403, "metrics_not_permitted")


# -- load ----------------------------------------------------------------------------------


def test_a_caller_that_asks_too_often_is_turned_away(pki: Pki, policies: Path, settings: Path) -> None:
    service = serve(pki, policies, settings, "[limits]\nper_caller_per_second = 5\n")
    try:
        with closing(service.connect()) as connection:
            replies = [send(connection, question()) for _ in range(10)]
        turned = [reply for reply in replies if reply.status != 200]

        assert replies[0].json["decision"] == "allow"
        assert turned
        assert {(reply.status, reply.code, reply.headers["retry-after"]) for reply in turned} == {
            (503, "rate_limited", "1")
        }
        time.sleep(1)
        assert service.send(question()).json["decision"] == "allow"
    finally:
        service.stop(signal.SIGINT)


def test_questions_that_wait_count_as_in_flight(pki: Pki, policies: Path, settings: Path) -> None:
    service = serve(pki, policies, settings, "[limits]\nin_flight = 1\n")
    try:
        waiting = threading.Thread(target=service.send, args=({**question(), "at_least": "f" * 16},))
        waiting.start()
        deadline = time.monotonic() + 0.9
        replies = []
        while time.monotonic() < deadline and not any(reply.status == 503 for reply in replies):
            replies.append(service.send(question()))
        waiting.join()

        assert (replies[-1].status, replies[-1].code) == (503, "overloaded")
        assert service.send(question()).json["decision"] == "allow"
    finally:
        service.stop(signal.SIGINT)


# -- the decision log ----------------------------------------------------------------------


def test_every_decision_is_in_the_log_when_the_service_has_ended(
    pki: Pki, policies: Path, settings: Path, tmp_path: Path
) -> None:
    log = tmp_path / "decisions.jsonl"
    service = serve(pki, policies, settings, f'[decision_log]\nto = "{log}"\nmode = "block"\n')
    with closing(service.connect()) as connection:
        ids = [send(connection, question()).json["decision_id"] for _ in range(200)]
    batch = {"questions": [question(), {}, question()]}
    answers = service.send(batch, path="/v1/decide/batch").json["answers"]
    ids += [answer["decision_id"] for answer in answers if "decision_id" in answer]
    service.stop()

    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(ids) == 202
    assert [record["decision_id"] for record in records] == ids
    assert {record["caller"] for record in records} == {"spiffe://prod.example.org/ns/pdp/sa/pep"}
    assert oct(log.stat().st_mode & 0o777) == "0o640"


def test_a_log_on_standard_output_is_nothing_but_lines(pki: Pki, policies: Path, settings: Path) -> None:
    service = serve(pki, policies, settings, '[decision_log]\nto = "stdout"\n')
    answered = service.send(question()).json
    line = service.wait_line(answered["decision_id"])
    service.stop()

    assert json.loads(line)["reason"] == answered["reason"]


def test_where_nothing_may_be_lost_a_full_disk_refuses_and_never_allows(
    pki: Pki, policies: Path, settings: Path
) -> None:
    service = serve(pki, policies, settings, '[decision_log]\nto = "/dev/full"\nmode = "block"\n')
    try:
        assert service.send(question()).status == 200  # there is room in the queue
        assert "No space left on device" in service.wait_line("the decision log cannot be written")
        service.assert_still_answers()
    finally:
        began = time.monotonic()
        service.stop(signal.SIGINT)
        assert time.monotonic() - began < 12


def test_where_lines_may_be_lost_a_full_disk_changes_no_answer(
    pki: Pki, policies: Path, settings: Path
) -> None:
    service = serve(pki, policies, settings, '[decision_log]\nto = "/dev/full"\n')
    try:
        with closing(service.connect()) as connection:
            assert {send(connection, question()).json["decision"] for _ in range(50)} == {"allow"}
        service.wait_line("the decision log cannot be written")
        assert service.log.count("the decision log cannot be written") == 1
    finally:
        service.stop(signal.SIGINT)


# -- settings ------------------------------------------------------------------------------


def test_settings_that_are_wrong_are_shown_with_their_place(pki: Pki, policies: Path, settings: Path) -> None:
    with pytest.raises(AssertionError, match=r"pdp.toml:2:1: error\[setting\]: `limits.in_flight`"):
        serve(pki, policies, settings, "[limits]\nin_flight = 0\n")


# -- for programs --------------------------------------------------------------------------


def documented_events() -> dict[str, set[str]]:
    """Events with their fields, as the page lists them."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.partition("## Events for programs")[2].partition("\n\nA diagnostic")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)
    return {event: set(re.findall(r"`(\w+)`", fields)) for event, fields in rows}


def test_with_json_every_line_is_an_event(pki: Pki, tmp_path: Path) -> None:
    policies, settings = make_policies(tmp_path / "set"), tmp_path / "pdp.toml"
    settings.write_text("")
    service = Service(
        pki, policies, "--json", "--health", "127.0.0.1:0", "--config", str(settings),
        started='"url": "https://',
    )  # fmt: skip
    file = next(policies.glob("*.policy"))
    text = file.read_text()
    try:
        file.write_text(text.replace("allow", "alow", 1))
        service.wait_line('"rejected"')
        file.write_text(text + "\nservice more {}\n")
        service.wait_line('"accepted"')
        for number, text in enumerate((
            '[limits]\nin_flight = 7\n[grpc]\nlisten = "127.0.0.1:0"\n', "[limits]\nin_flght = 7\n", None,
        )):  # fmt: skip
            settings.unlink() if text is None else settings.write_text(text)
            service.process.send_signal(signal.SIGHUP)
            until(lambda so_many=number + 1: service.log.count('"event": "settings_') == so_many)
    finally:
        service.stop(signal.SIGINT)

    events = [json.loads(line) for line in service.lines]
    kinds = ["message", "serving", "rejected", "accepted", "settings_accepted", *["settings_rejected"] * 2]
    assert [event["event"] for event in events] == kinds
    assert {event["event"]: set(event) - {"event"} for event in events} == documented_events()
    assert events[4]["applied"] == ["limits.in_flight"]
    assert events[4]["restart"] == ["grpc.listen", "grpc.remembered_answers"]
    (slip,) = events[5]["diagnostics"]
    assert (slip["severity"], slip["file"], slip["line"]) == ("error", str(settings), 2)
    assert events[5]["trouble"] is None
    assert events[6]["trouble"].endswith("pdp.toml cannot be read: No such file or directory")
    assert events[2]["serving"] == events[1]["revision"]
    assert events[2]["diagnostics"][0]["code"] == "PDP101"
    assert (events[3]["granted"], events[3]["revoked"], events[3]["notes"]) == (0, 0, ["`more` is new"])


# -- over gRPC -----------------------------------------------------------------------------


def test_over_grpc_load_is_turned_away_by_a_status_and_never_by_a_decision(
    pki: Pki, policies: Path, tmp_path: Path
) -> None:
    (tmp_path / "pdp.toml").write_text("[limits]\nper_caller_per_second = 3\n")
    service = Service(pki, policies, "--config", str(tmp_path / "pdp.toml"), "--grpc", "127.0.0.1:0")
    asked = to_question(question()).SerializeToString()
    try:
        with channel(pki, grpc_port(service)) as on:
            with streaming(on, "DecideStream", [asked] * 8) as stream:
                results = [v1.Result.FromString(message) for message in stream]
            refused = call(on, "Decide", asked)
    finally:
        service.stop(signal.SIGINT)

    assert [result.WhichOneof("result") for result in results[:3]] == ["answer"] * 3
    assert {result.error.code for result in results if result.WhichOneof("result") == "error"} == {
        "rate_limited"
    }
    assert (refused.status, refused.code) == ("RESOURCE_EXHAUSTED", "rate_limited")


def test_over_grpc_a_service_that_is_told_to_end_says_so_and_answers_for_a_while(
    pki: Pki, policies: Path, settings: Path
) -> None:
    settings.write_text('[health]\nlisten = "127.0.0.1:0"\n[drain]\ngrace_seconds = 1.5\n')
    service = Service(pki, policies, "--config", str(settings), "--grpc", "127.0.0.1:0")
    asked = to_question(question()).SerializeToString()
    try:
        with channel(pki, grpc_port(service)) as on:
            assert health_of(on) == HealthCheckResponse.SERVING
            service.process.send_signal(signal.SIGTERM)
            until(lambda: health_of(on) == HealthCheckResponse.NOT_SERVING, 1)

            assert call(on, "Decide", asked, v1.Answer).decision == v1.DECISION_ALLOW
        assert service.process.wait(10) == 0
    finally:
        service.stop(signal.SIGINT)


def health_of(on: grpc.Channel) -> int:
    message = HealthCheckRequest(service="pdp.v1.DecisionService")
    return call(on, "/grpc.health.v1.Health/Check", message, HealthCheckResponse).status
