"""Each proxy with its sample configuration: what the PDP allows arrives, and nothing else does.

The proxy is the real program, and so is the PDP. What is expected of one of them is expected of all.
"""

import json
import ssl
import subprocess
import sys

import pytest

from tests.e2e.proxies.client import HOST
from tests.e2e.proxies.edges import WEB, Edge
from tests.e2e.running import until
from tests.programs import needs

# -- what is allowed, and what is not ------------------------------------------------------


def test_what_a_rule_allows_arrives_as_it_was_sent(edge: Edge) -> None:
    for method in ("GET", "DELETE", "OPTIONS", "PATCH"):
        arrived = edge.allowed("/v1/charges/41?limit=5&a=%2F", "accept: text/plain", method=method)

        assert arrived.line == method.encode() + b" /v1/charges/41?limit=5&a=%2F HTTP/1.1"
        assert arrived.values("accept") == ["text/plain"]
        assert arrived.values("host") == [HOST]


def test_the_upstream_is_told_who_asks_and_by_which_decision(edge: Edge) -> None:
    arrived = edge.allowed()

    assert arrived.values("x-pdp-principal") == [WEB]
    assert arrived.values("x-pdp-user") in ([], [""])
    (decision,) = arrived.values("x-pdp-decision-id")
    assert len(decision) == 26
    assert decision != edge.allowed().values("x-pdp-decision-id")[0]


def test_what_a_rule_denies_does_not_arrive(edge: Edge) -> None:
    for method in ("GET", "POST", "HEAD"):
        assert edge.refused("/admin/users", method=method).status == 403


def test_what_no_rule_allows_does_not_arrive(edge: Edge) -> None:
    assert edge.refused(client="other").status == 403


@pytest.mark.parametrize("client", [None, "stranger"])
def test_without_a_certificate_of_the_right_authority_nothing_arrives(edge: Edge, client: str | None) -> None:
    assert edge.refused(client=client).status == edge.sample.without_certificate


def test_older_tls_than_1_3_is_not_spoken(edge: Edge) -> None:
    answer, arrived = edge.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", most=ssl.TLSVersion.TLSv1_2)

    assert (answer.status, arrived) == (0, [])


# -- while it runs -------------------------------------------------------------------------


def test_a_quarantined_principal_is_denied_and_let_in_again(edge: Edge) -> None:
    def quarantine(*arguments: str) -> str:
        command = [sys.executable, "-m", "pdp.cli.main", "quarantine", *arguments]
        where = ["--config", str(edge.folder / "pdp.toml"), "--json"]
        return subprocess.run(
            [*command, *where], check=True, capture_output=True, timeout=60, text=True
        ).stdout

    edge.allowed()

    added = quarantine("add", "--for", "1h", "--why", "key on a forum", "--spiffe-id", WEB)
    until(lambda: edge.get()[0].status == 403, 2)
    edge.refused()
    quarantine("lift", json.loads(added)["id"], "--why", "key rotated")

    assert edge.until_allowed(2) < 2


# -- obligations ---------------------------------------------------------------------------


def test_headers_that_the_decision_sets_and_removes_are_set_and_removed(edge: Edge) -> None:
    said = ("x-plan: platinum", "X-Plan: platinum", "x-debug: 1", "x-other: mine")

    with_plan, without = edge.allowed("/v1/plan", *said), edge.allowed("/v1/charges/41", *said)

    assert with_plan.values("x-plan") == ["gold"]
    assert without.values("x-plan") in ([], [""])
    for arrived in (with_plan, without):
        assert arrived.values("x-debug") in ([], [""])
        assert arrived.values("x-other") == ["mine"]


# -- more than a head ----------------------------------------------------------------------


def test_a_body_arrives_whole(edge: Edge) -> None:
    for body in (b"{}", bytes(range(256)), b"x" * (4 << 20)):
        head = f"POST /v1/charges HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {len(body)}\r\n"
        answer, arrived = edge.send(head.encode() + b"connection: close\r\n\r\n" + body)

        assert answer.status == 200
        assert [one.body for one in arrived] == [body]


def test_a_body_in_chunks_arrives_whole(edge: Edge) -> None:
    head = f"POST /v1/charges HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n".encode()

    answer, arrived = edge.send(
        head + b"transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
    )

    assert answer.status == 200
    assert [one.body for one in arrived] == [b"firstsecond"]


def test_nothing_arrives_of_a_denied_body(edge: Edge) -> None:
    for body in (b"{}", b"x" * (4 << 20)):
        head = f"POST /admin/users HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {len(body)}\r\n"
        answer, arrived = edge.send(head.encode() + b"connection: close\r\n\r\n" + body)

        assert answer.status in {0, 403}  # some close while the body is still coming
        assert arrived == []


def test_a_request_behind_an_allowed_one_is_asked_about_by_itself(edge: Edge) -> None:
    """On one connection: the answer to the first is none to the second."""
    first = f"GET /v1/charges/41 HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode()
    second = f"GET /admin/users HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode()

    _, arrived = edge.send(first + second)

    assert [one.target for one in arrived] == [b"/v1/charges/41"]


# -- other protocols -----------------------------------------------------------------------


def test_a_websocket_is_opened_where_it_is_allowed(edge: Edge) -> None:
    upgrade = (
        "connection: Upgrade", "upgrade: websocket",
        "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    )  # fmt: skip
    lines = "\r\n".join([f"host: {HOST}", *upgrade, "", ""])

    answer, arrived = edge.send(f"GET /v1/events HTTP/1.1\r\n{lines}".encode())
    denied, nothing = edge.send(f"GET /admin/events HTTP/1.1\r\n{lines}".encode())

    assert answer.status == 101, edge.log
    assert [one.values("upgrade") for one in arrived] == [["websocket"]]
    assert [one.values("x-pdp-principal") for one in arrived] == [[WEB]]
    assert (denied.status, nothing) == (403, [])


@needs("curl")
def test_over_http_2_the_same_is_allowed_and_denied(edge: Edge) -> None:
    at = f"{HOST}:{edge.places.listen}:127.0.0.1"
    files = edge.pki.folder
    command = [
        "curl", "--silent", "--http2", "--resolve", at, "--cacert", str(files / "prod.pem"), "--cert",
        str(files / "web.pem"), "--key", str(files / "web-key.pem"), "--output", "/dev/null",
        "--write-out", "%{http_version} %{http_code} ", "--header", f"host: {HOST}", "--path-as-is",
    ]  # fmt: skip
    url = f"https://{HOST}:{edge.places.listen}"

    for path, status in (("/v1/charges/41", 200), ("/admin/users", 403), ("/x/../admin/users", 403)):
        ran = subprocess.run([*command, url + path], capture_output=True, text=True, timeout=60, check=False)
        assert ran.stdout.split() == ["2", str(status)], (path, ran.stderr, edge.log)
    assert [one.target for one in edge.upstream.take()] == [b"/v1/charges/41"]
