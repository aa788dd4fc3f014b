"""HTTP/1.1 as bytes: which requests stand in them, by a second parser, and what came back for them."""

import contextlib
import random
import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any, Final

import h11

from tests.e2e.running import DEADLINE, Service

__all__ = ["Answered", "Found", "exchange", "over_tls", "replies_in", "requests_in"]

_SILENCE: Final = 0.05  # seconds without a byte, after which nothing more is waited for


# -- what stands in the bytes ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """A request as h11 reads it: its method and path, its body, and its headers, names in lower case."""

    method: bytes
    path: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def requests_in(data: bytes) -> tuple[list[Found], str]:
    """The whole requests, and how the bytes go on: `end`, `more` or `error`."""
    found: list[Found] = []
    while True:
        # RFC 9112, section 2.2: empty lines before a request are ignored. Ours ignores halves of them too.
        data = data.lstrip(b"\r\n")
        server = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        server.receive_data(data)
        try:
            request = _next_request(server)
        except h11.RemoteProtocolError:
            return found, "error"
        if request is None:
            return found, "more"
        found.append(request)
        server.send(h11.Response(status_code=404, headers=[("content-length", "0")]))
        server.send(h11.EndOfMessage())
        if server.our_state is not h11.DONE or server.their_state is not h11.DONE:
            return found, "end"
        data = server.trailing_data[0]


def _next_request(server: h11.Connection) -> Found | None:
    """The request that stands at the beginning, or None if more has to come."""
    head: Any = None
    body = b""
    while True:
        event = server.next_event()
        if isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return Found(head.method, head.target, body, tuple(head.headers))
        else:
            return None


# -- what comes back -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes


def replies_in(received: bytes) -> list[Answered]:
    """Responses, by a parser of our own output: each has a length, or goes on to the end."""
    replies = []
    while received:
        head, blank, rest = received.partition(b"\r\n\r\n")
        assert blank, f"half a head: {received[:200]!r}"
        first, *lines = head.decode("ascii").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) [\w ]*", first)
        assert found is not None, f"no response: {first!r}"
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (li.partition(":") for li in lines)
        }
        status, length = int(found[1]), int(headers.get("content-length", "0"))
        if status == 100:
            received = rest
            continue
        if "content-length" not in headers and status >= 200:
            length = len(rest)  # a stream
        if rest.startswith(b"HTTP/1.1 ") or not rest:
            length = 0  # the answer to HEAD
        assert len(rest) >= length, "half a body"
        replies.append(Answered(status, headers, rest[:length]))
        received = rest[length:]
    return replies


def _is_whole(received: bytes) -> bool:
    """Whether nothing of the last response is still to come, as far as its head says."""
    try:
        replies_in(received)
    except AssertionError:
        return False
    return True


def over_tls(service: Service, context: ssl.SSLContext) -> socket.socket:
    """A connection to a service."""
    plain = socket.create_connection(("127.0.0.1", service.port), DEADLINE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def exchange(connected: socket.socket, data: bytes, rng: random.Random, expected: int) -> tuple[bytes, bool]:
    """Send in pieces of any size; what comes back, and whether the service closed."""
    received = b""
    with connected as sock:
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            at = 0
            while at < len(data):
                size = rng.choice((1, 2, 7, 100, 10_000)) if at < 200 else 100_000
                sock.sendall(data[at : at + size])
                at += size
        deadline = time.monotonic() + DEADLINE
        while True:
            there = received.count(b"HTTP/1.1 ") >= expected and _is_whole(received)
            waited = not there and time.monotonic() < deadline
            sock.settimeout(1.0 if waited else _SILENCE)
            try:
                chunk = sock.recv(65536)
            except TimeoutError:
                if not waited:
                    return received, False
                continue
            except (ConnectionError, ssl.SSLError):
                return received, True
            if not chunk:
                return received, True
            received += chunk
