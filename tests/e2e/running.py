"""The real service for tests: certificates, the process `pdp serve`, and callers over real TLS.

Nothing here is a stand-in. A `Service` is the command in a process of its own, ended by its
process id; a question goes over a socket as an enforcement point's would.
"""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.identity.mint import Party, authority, leaf

__all__ = ["Pki", "Reply", "Service", "ask", "parse_replies", "question", "raw", "until"]

PROD, PARTNER = "prod.example.org", "partner.example.net"
PEP = f"spiffe://{PROD}/ns/pdp/sa/pep"
WEB = f"spiffe://{PROD}/ns/shop/sa/web"
ALICE = f"spiffe://{PROD}/ns/shop/sa/alice"
DEADLINE = 15.0
START = 60.0  # several processes, on a machine that is busy
JSON = {"content-type": "application/json"}

POLICY = """\
language 1

trust domain prod = "prod.example.org"
trust domain partner = "partner.example.net"
issuer corp = "https://login.example.com"

service web.shop {
    host "web.shop.example.com"

    allow prod/ns/shop/sa/* to GET /v1/items/{id} as read-item because "secret reason"
    allow prod/ns/shop/sa/alice to POST /v1/items, GET /v1/export as alice
    allow prod/ns/shop/sa/* to GET /v1/hours from 2026-01-01 until 2100-01-01 as hours
    allow prod/ns/shop/sa/* to GET /v1/inside when source.ip in 10.0.0.0/8 as inside
    allow prod/ns/shop/sa/* on behalf of corp/* to GET /v1/mine as mine
    allow prod/ns/shop/sa/* to GET /v1/port when request.port == 8443 as port
    deny anyone to any /v1/items/locked as locked
}

service pay.shop {
    allow prod/ns/shop/sa/* to GET /v1/charges as charges
}

caller prod/ns/pdp/sa/pep fronts any service
    may assert any principal of prod, any principal of partner, unauthenticated, claims
    may explain
    supplies source, header, request
caller prod/ns/{ns}/sa/{sa} fronts "{sa}.{ns}"
    may assert any principal of prod
    supplies source
caller prod/ns/gate/sa/front fronts web.shop, pay.shop
    may assert itself
    supplies source

group unauthenticated = { anyone except any authenticated }
"""


class Pki:
    """Authorities of two trust domains and leaves of every kind, as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        now = datetime.now(UTC)
        self.now = now
        span: dict[str, Any] = {"start": now - timedelta(days=1), "end": now + timedelta(days=30)}
        self.root = authority("prod root", uris=[f"spiffe://{PROD}"], **span)
        self.partner_root = authority("partner root", uris=[f"spiffe://{PARTNER}"], **span)
        self.stranger_root = authority("stranger root", uris=[f"spiffe://{PROD}"], **span)
        for name, party in (("prod", self.root), ("partner", self.partner_root)):
            (folder / f"{name}.pem").write_bytes(party.pem)
        self.issue("server", uris=[f"spiffe://{PROD}/ns/pdp/sa/pdp"], dns=["localhost"], ips=["127.0.0.1"])
        self.issue("pep", uris=[PEP])

    def issue(
        self,
        name: str,
        issuer: Party | None = None,
        *,
        lives: tuple[float, float] = (-3600, 86400),
        **what: Any,
    ) -> str:
        """Write a leaf and its key; `lives` is seconds from now. Returns its name."""
        start, end = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in lives)
        party = leaf(issuer or self.root, start=start, end=end, name=name, **what)
        self.write(name, party)
        return name

    def write(self, name: str, party: Party) -> None:
        key = party.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / f"{name}.pem").write_bytes(party.pem)
        (self.folder / f"{name}-key.pem").write_bytes(key)
        (self.folder / f"{name}-key.pem").chmod(0o600)

    def context(self, name: str | None = "pep") -> ssl.SSLContext:
        """What a caller with this leaf, or with none, trusts and presents."""
        context = ssl.create_default_context(cafile=str(self.folder / "prod.pem"))
        context.set_alpn_protocols(["http/1.1"])
        if name is not None:
            context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}-key.pem")
        return context


@dataclass(frozen=True)
class Reply:
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes
    json: Any = field(default=None, compare=False)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


class Service:
    """A running `pdp serve`."""

    def __init__(
        self,
        pki: Pki,
        policies: Path,
        *more: str,
        trust: Iterable[str] = (),
        command: list[str] | None = None,
        started: str = "https://127.0.0.1:",
        errors: int = subprocess.STDOUT,
        patience: float = START,
        direct: bool = True,
    ) -> None:
        self.pki, self.policies = pki, policies
        trusted = trust or (f"{PROD}={pki.folder / 'prod.pem'}", f"{PARTNER}={pki.folder / 'partner.pem'}")
        arguments = command or [
            sys.executable, "-m", "pdp.cli.main", "serve", str(policies), "--http", "127.0.0.1:0",
            "--cert", str(pki.folder / "server.pem"), "--key", str(pki.folder / "server-key.pem"),
            *(part for item in trusted for part in ("--trust", item)), *more,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            arguments,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=clean_environment() | ({} if direct else {"PDP_HTTP__DIRECT": "false"}),
        )
        self.lines: list[str] = []
        self._ended = False
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            line = self.wait_line(started, deadline=patience)
        except AssertionError:
            self.stop()
            raise
        port = line.rpartition(":")[2].rstrip('"}')
        self.port = int(port) if port.isdecimal() else 0  # a Unix socket has none

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def log(self) -> str:
        with self._news:
            return "\n".join(self.lines)

    def mark(self) -> int:
        with self._news:
            return len(self.lines)

    def wait_line(self, text: str, since: int = 0, deadline: float = DEADLINE) -> str:
        """The first line printed since a mark that holds a text."""

        def found() -> str | None:
            return next((line for line in self.lines[since:] if text in line), None)

        with self._news:
            self._news.wait_for(lambda: found() is not None or self._ended, deadline)
            line = found()
            assert line is not None, f"no line with {text!r} in {deadline} s:\n" + "\n".join(self.lines)
            return line

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process by its id; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self._reader.join(DEADLINE)
        assert not self._reader.is_alive(), "a process of it is still there, and holds its output"
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    # -- callers ----------------------------------------------------------------------

    def connect(self, name: str | None = "pep") -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self.pki.context(name), timeout=DEADLINE
        )

    def tls(self, name: str | None = "pep", context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """A socket on which the handshake is made."""
        plain = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        return (context or self.pki.context(name)).wrap_socket(plain, server_hostname="127.0.0.1")

    def send(
        self,
        body: bytes | str | dict[str, Any],
        *,
        caller: str = "pep",
        path: str = "/v1/decide",
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own."""
        connection = self.connect(caller)
        try:
            return send(connection, body, path=path, method=method, headers=headers)
        finally:
            connection.close()

    def raw(self, data: bytes, *, caller: str = "pep", wait: float = DEADLINE) -> bytes:
        """Everything that comes back for these bytes, until the service closes or is silent."""
        with self.tls(caller) as sock:
            return raw(sock, data, wait)

    def assert_still_answers(self, since: int = 0) -> None:
        """Alive, answering, and with nothing in its log since a mark that it did not mean to say."""
        assert self.send(question()).json["decision"] == "allow", self.log
        told = "\n".join(self.lines[since:])
        assert not re.search("Traceback|Exception|Error|[Ff]atal", told), told[:4000]


def send(
    connection: http.client.HTTPConnection,
    body: bytes | str | dict[str, Any],
    *,
    path: str = "/v1/decide",
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> Reply:
    """One request on an open connection."""
    content = json.dumps(body) if isinstance(body, dict) else body
    connection.request(method, path, content, JSON if headers is None else headers)
    answer = connection.getresponse()
    return _reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


def _reply(status: int, headers: dict[str, str], body: bytes) -> Reply:
    is_json = headers.get("content-type", "").startswith("application/json") and body
    return Reply(status=status, headers=headers, body=body, json=json.loads(body) if is_json else None)


def ask(service: Service, caller: str = "pep", /, **what: Any) -> Reply:
    """One question, with what is different from `question()`."""
    return service.send(question(**what), caller=caller)


def question(**what: Any) -> dict[str, Any]:
    """A question that is answered with allow, but for what is given."""
    asked = {"principal": WEB, "service": "web.shop", "method": "GET", "path": "/v1/items/7", **what}
    return {key: value for key, value in asked.items() if value is not ...}


def raw(sock: ssl.SSLSocket, data: bytes, wait: float = DEADLINE) -> bytes:
    sock.settimeout(wait)
    received = b""
    try:
        sock.sendall(data)
        while chunk := sock.recv(65536):
            received += chunk
    except (TimeoutError, ConnectionError, ssl.SSLError):
        pass
    return received


def request_bytes(body: bytes, *headers: str, line: str = "POST /v1/decide HTTP/1.1") -> bytes:
    """A request as bytes; the connection ends with it."""
    head = [line, "host: pdp", "content-type: application/json", "connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def parse_replies(received: bytes) -> list[Reply]:
    """The responses in what a connection gave back."""
    replies = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        replies.append(_reply(int(first.split()[1]), headers, rest[:length]))
        received = rest[length:]
    return replies


def until(true: Callable[[], Any], seconds: float = DEADLINE) -> float:
    """Wait until something holds; how long it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - began


def clean_environment() -> dict[str, str]:
    """Ours, without what would colour or alter output."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PDP_", "PYTEST", "COV_"))}
    return {**kept, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


def make_policies(folder: Path, text: str = POLICY) -> Path:
    folder.mkdir(parents=True)
    (folder / "main.policy").write_text(text, encoding="utf-8")
    return folder
