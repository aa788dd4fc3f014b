"""`pdp serve --plaintext`: over a Unix socket and over loopback, with one caller that the settings name."""

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.local_calls import LocalService, short_folder
from tests.e2e.running import (
    PEP,
    WEB,
    Pki,
    Service,
    make_policies,
    parse_replies,
    question,
    request_bytes,
    until,
)
from tests.e2e.test_start_and_stop import assert_refused, serve

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="asks as another user, which takes root")
OTHER = 65533
ASK = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(30)
sock.connect(sys.argv[1])
sock.sendall(sys.stdin.buffer.read())
while chunk := sock.recv(65536):
    sys.stdout.buffer.write(chunk)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


def settings(listen: object, more: str = "") -> str:
    return f'[http]\nplaintext = true\nlisten = "{listen}"\n[local]\ncaller = "{PEP}"\n{more}'


@pytest.fixture(scope="module")
def loopback(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    made = tmp_path_factory.mktemp("local")
    service = LocalService(pki, make_policies(made / "set"), settings("127.0.0.1:0"), made / "pdp.toml")
    yield service
    assert service.stop() == 0, service.log
    assert "Traceback" not in service.log


def assert_asks(service: LocalService) -> None:
    """The answer is that of the caller's entry, without what takes a certificate."""
    found = service.ask(question())
    assert found.json["decision"] == "allow", found.body
    assert "because" not in found.json["rules"][0]  # the entry says `may explain`
    assert service.ask(question(explain=True)).code == "explain_not_permitted"
    assert service.ask(b"", path="/metrics", method="GET").code == "metrics_not_permitted"
    assert service.ask(question(service="no.such")).code == "service_not_permitted"
    batch = service.ask({"questions": [question(), question(explain=True)]}, path="/v1/decide/batch")
    first, second = batch.json["answers"]
    assert (first["decision"], second["error"]["code"]) == ("allow", "explain_not_permitted")


# -- a Unix socket -------------------------------------------------------------------------


def test_over_a_socket_of_our_own(pki: Pki, policies: Path, folder: Path) -> None:
    path = folder / "run" / "s"
    service = LocalService(pki, policies, settings(f"unix:{path}"), folder / "pdp.toml")
    try:
        assert service.where == f"unix:{path}"
        modes = [stat.S_IMODE(each.lstat().st_mode) for each in (path.parent, path)]
        assert modes == [0o700, 0o600]
        assert_asks(service)
        refused = service.ask(question(), headers={"x-forwarded-client-cert": f"URI={WEB}"})
        assert (refused.status, refused.code) == (403, "forwarded_unexpected")
    finally:
        code = service.stop()

    assert code == 0, service.log
    assert not path.exists()
    assert len(service.lines) == 1, service.log


def test_what_a_killed_service_left_is_replaced_and_a_live_one_is_not(
    pki: Pki, policies: Path, folder: Path
) -> None:
    path = folder / "run" / "s"
    killed = LocalService(pki, policies, settings(f"unix:{path}"), folder / "pdp.toml")
    killed.stop(signal.SIGKILL)
    assert path.exists()

    service = LocalService(pki, policies, settings(f"unix:{path}"), folder / "pdp.toml")
    try:
        second = serve("--config", folder / "pdp.toml")
        assert_refused(second, 3, f"{path.parent} is in use", "--http unix:/PATH")
        assert service.ask(question()).json["decision"] == "allow"
    finally:
        assert service.stop() == 0


@AS_ROOT
def test_only_listed_users_are_answered(pki: Pki, policies: Path, folder: Path) -> None:
    """Also where somebody has opened the directory and the socket by hand."""
    path = folder / "run" / "s"
    service = LocalService(pki, policies, settings(f"unix:{path}"), folder / "pdp.toml")
    try:
        assert _as_other(path) == "PermissionError"
        path.parent.chmod(0o711)
        path.chmod(0o666)
        assert _as_other(path) == "403 peer_not_permitted"
        assert service.ask(question()).json["decision"] == "allow"
    finally:
        assert service.stop() == 0

    path.parent.chmod(0o700)
    more = f"uids = [{OTHER}]\n"
    service = LocalService(pki, policies, settings(f"unix:{path}", more), folder / "pdp.toml")
    try:
        path.parent.chmod(0o711)
        path.chmod(0o666)
        assert _as_other(path) == "200 allow"
        refused = service.ask(question())  # ourselves: we are not on that list
        assert (refused.status, refused.code) == (403, "peer_not_permitted")
        assert service.ask(b"", path="/docs", method="GET").code == "peer_not_permitted"
    finally:
        assert service.stop() == 0


def _as_other(path: Path) -> str:
    """What another user gets for a question."""
    body = json.dumps(question()).encode()
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(path), str(OTHER)],
        input=request_bytes(body, f"content-length: {len(body)}"),
        capture_output=True, timeout=60, check=False, cwd="/",
    )  # fmt: skip
    if done.returncode:
        return done.stderr.decode().strip().splitlines()[-1].partition(":")[0]
    (reply,) = parse_replies(done.stdout)
    return f"{reply.status} {reply.json['decision'] if reply.status == 200 else reply.code}"


@pytest.mark.parametrize("kind", ["open", "link", "file"])
def test_a_directory_that_is_not_ours_alone_is_no_place(
    pki: Pki, policies: Path, folder: Path, kind: str
) -> None:
    del pki
    place = folder / "run"
    (folder / "real").mkdir(0o700)
    if kind == "open":
        place.mkdir()
        place.chmod(0o750)
    elif kind == "link":
        place.symlink_to(folder / "real")
    else:
        place.mkdir(0o700)
        (place / "s").write_text("x")
    said = {"open": "mode 0750", "link": "symbolic link", "file": "not a socket of ours"}[kind]

    done = serve(policies, "--plaintext", "--http", f"unix:{place}/s", "--caller", PEP)

    assert_refused(done, 3, str(place), said)


# -- a loopback address --------------------------------------------------------------------


def test_over_loopback(loopback: LocalService) -> None:
    assert loopback.where.startswith("http://127.0.0.1:")
    assert_asks(loopback)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost", "127.0.0.1:1", ""])
@pytest.mark.parametrize("path", ["/v1/decide", "/v1/revisions", "/docs", "/openapi.json", "/none"])
def test_a_name_that_was_made_to_point_here_is_refused(loopback: LocalService, host: str, path: str) -> None:
    method = "POST" if path == "/v1/decide" else "GET"

    refused = loopback.ask(question(), path=path, method=method, headers={"host": host})

    assert (refused.status, refused.code) == (403, "host_not_permitted")


def test_a_request_without_a_host_is_refused(loopback: LocalService) -> None:
    (reply,) = parse_replies(loopback.bytes(b"GET /docs HTTP/1.0\r\n\r\n"))
    assert (reply.status, reply.code) == (403, "host_not_permitted")

    two = b"GET /docs HTTP/1.1\r\nhost: localhost:%d\r\nhost: evil.example\r\nconnection: close\r\n\r\n"
    (reply,) = parse_replies(loopback.bytes(two % loopback.port))
    assert reply.status in {400, 403}


@pytest.mark.parametrize("path", ["/v1/decide", "/v1/decide/batch", "/decide", "/decide/batch"])
@pytest.mark.parametrize(
    "content", [None, "text/plain", "application/x-www-form-urlencoded", "text/plain;application/json"]
)
def test_what_a_form_can_send_is_no_question(loopback: LocalService, path: str, content: str | None) -> None:
    refused = loopback.ask(question(), path=path, content=content)

    assert (refused.status, refused.code) == (415, "unsupported_media_type")


def test_a_page_may_not_ask_whether_it_may(loopback: LocalService) -> None:
    """The request that a browser sends before one with `application/json`."""
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}

    refused = loopback.ask(b"", method="OPTIONS", headers=headers)

    assert (refused.status, refused.code) == (403, "browser_not_permitted")
    assert not [name for name in refused.headers if name.startswith("access-control")]


def test_each_request_of_a_connection_is_looked_at(loopback: LocalService) -> None:
    connection = loopback.local()
    connection.connect()
    body = json.dumps(question()).encode()
    good = (
        f"POST /v1/decide HTTP/1.1\r\nhost: localhost:{loopback.port}\r\ncontent-type: application/json\r\n"
    )
    bad = good.replace("localhost", "evil.example")
    end = f"content-length: {len(body)}\r\n\r\n"
    last = f"connection: close\r\n{end}"

    data = b"".join(head.encode() + body for head in (good + end, bad + end, good + last))
    replies = parse_replies(loopback.bytes(data))
    connection.close()

    assert [reply.status for reply in replies] == [200, 403, 200]


def test_trailers_are_nobodys_evidence(loopback: LocalService) -> None:
    body = json.dumps(question()).encode()
    head = (
        "POST /v1/decide HTTP/1.1\r\nhost: evil.example\r\ncontent-type: application/json\r\n"
        "transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    )
    data = head.encode() + b"%x\r\n%b\r\n0\r\nhost: localhost:%d\r\n\r\n" % (len(body), body, loopback.port)

    (reply,) = parse_replies(loopback.bytes(data))

    assert reply.code == "host_not_permitted"


def test_revisions_can_be_watched(loopback: LocalService) -> None:
    connection = loopback.local()
    connection.request("GET", "/v1/revisions")
    assert connection.getresponse().readline() == b"event: revision\n"
    connection.close()


def test_it_speaks_no_tls(loopback: LocalService, pki: Pki) -> None:
    with socket.create_connection(("127.0.0.1", loopback.port), 30) as plain, pytest.raises(OSError):  # noqa: PT011
        pki.context().wrap_socket(plain, server_hostname="localhost")


def test_hosts_can_be_listed(pki: Pki, policies: Path, folder: Path) -> None:
    more = 'hosts = ["pdp.local:1234"]\n'
    service = LocalService(pki, policies, settings("127.0.0.1:0", more), folder / "pdp.toml")
    try:
        assert service.ask(question(), headers={"host": "PDP.local:1234"}).json["decision"] == "allow"
        assert service.ask(question()).code == "host_not_permitted"
    finally:
        assert service.stop() == 0


# -- what is not started -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "said"),
    [("0.0.0.0:0", "is neither"), ("[::]:0", "is neither"), ("localhost:0", "is neither")],
)
def test_others_than_this_machine_are_never_served_in_plaintext(
    policies: Path, address: str, said: str
) -> None:
    done = serve(policies, "--plaintext", "--http", address, "--caller", PEP)

    assert_refused(done, 3, "`http.listen`", address, said)


def test_nobody_is_served_in_plaintext_without_a_name(policies: Path) -> None:
    assert_refused(serve(policies, "--plaintext", "--http", "127.0.0.1:0"), 3, "`local.caller`", "--caller")


def test_a_name_without_an_entry_is_not_served(policies: Path, folder: Path) -> None:
    nobody = "spiffe://other.example.org/nobody"

    done = serve(policies, "--plaintext", "--http", f"unix:{folder}/run/s", "--caller", nobody)

    assert_refused(done, 3, "`local.caller`", nobody)
    assert not (folder / "run" / "s").exists()


def test_a_socket_needs_the_word(pki: Pki, policies: Path, folder: Path) -> None:
    tls = ["--cert", pki.folder / "server.pem", "--key", pki.folder / "server-key.pem"]
    trust = ["--trust", f"prod.example.org={pki.folder / 'prod.pem'}"]

    done = serve(policies, "--http", f"unix:{folder}/run/s", *tls, *trust)

    assert_refused(done, 3, "`http.listen`", "no TLS", "--plaintext")
    assert not (folder / "run").exists()


@pytest.mark.parametrize("address", ["unix:", "unix:s", "unix:/s", "unix:///run/s"])
def test_a_path_that_is_none_is_a_mistake_of_the_call(policies: Path, address: str) -> None:
    assert_refused(
        serve(policies, "--plaintext", "--http", address, "--caller", PEP), 2, "--http", "unix:/PATH"
    )


# -- beside it -----------------------------------------------------------------------------


def test_grpc_beside_it_is_over_mtls_and_probes_are_answered(pki: Pki, policies: Path, folder: Path) -> None:
    path = folder / "run" / "s"
    text = settings(f"unix:{path}").replace(
        "[http]\n",
        f'[grpc]\nlisten = "127.0.0.1:0"\n[health]\nlisten = "127.0.0.1:0"\n'
        f'[trust]\n"prod.example.org" = "{pki.folder / "prod.pem"}"\n[http]\n'
        f'certificate = "{pki.folder / "server.pem"}"\nkey = "{pki.folder / "server-key.pem"}"\n',
    )
    service = LocalService(pki, policies, text + "[drain]\ngrace_seconds = 0\n", folder / "pdp.toml")
    try:
        assert service.ask(question()).json["decision"] == "allow"
        probes = service.wait_line("answering probes on http://").rpartition("http://")[2]
        host = http.client.HTTPConnection(probes.partition("/")[0], timeout=30)
        host.request("GET", "/health/ready")
        assert host.getresponse().status == 200
        host.close()
        grpc = int(service.wait_line("answering gRPC").rpartition(":")[2])
        service.port = grpc
        with Service.tls(service) as sock:
            assert sock.version() == "TLSv1.3"
    finally:
        assert service.stop() == 0, service.log


def test_edits_of_the_entry_count_at_once(pki: Pki, policies: Path, folder: Path) -> None:
    service = LocalService(pki, policies, settings("127.0.0.1:0"), folder / "pdp.toml")
    try:
        file = policies / "main.policy"
        text = file.read_text().replace(
            "caller prod/ns/pdp/sa/pep fronts any service", "caller prod/x fronts pay.shop"
        )
        file.write_text(
            text.replace("caller prod/ns/{ns}/sa/{sa} fronts", "caller prod/y/{ns}/sa/{sa} fronts")
        )
        until(lambda: service.ask(question()).status == 403)
        assert service.ask(question()).code == "caller_not_listed"
    finally:
        assert service.stop() == 0
