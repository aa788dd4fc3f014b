"""What stands behind a proxy: keeps the bytes that arrive, and answers them.

No library reads the request before it is kept, so that what a test sees is what a backend would have been
sent. Each connection is answered once and then read until the other end closes it.
"""

import re
import socket
import threading
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha1
from queue import Empty, Queue
from typing import Final

from tests.e2e.running import DEADLINE

__all__ = ["ANSWER", "Arrival", "Upstream"]

ANSWER: Final = b"served"
_LENGTH: Final = re.compile(rb"^content-length: *(\d+)\s*$", re.IGNORECASE | re.MULTILINE)
_CHUNKED: Final = re.compile(rb"^transfer-encoding: *chunked\s*$", re.IGNORECASE | re.MULTILINE)
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_UPGRADE: Final = re.compile(rb"^upgrade: *websocket\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Arrival:
    """One request, as it arrived."""

    head: bytes
    body: bytes

    @property
    def line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @property
    def method(self) -> bytes:
        return self.line.partition(b" ")[0]

    @property
    def target(self) -> bytes:
        """All between the first and the last space, whatever it is."""
        return self.line.partition(b" ")[2].rpartition(b" ")[0]

    @property
    def headers(self) -> list[tuple[str, str]]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]

    def values(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known == name]


class Upstream:
    """A listener on loopback."""

    def __init__(self) -> None:
        self._arrived: Queue[Arrival] = Queue()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def take(self) -> list[Arrival]:
        """What arrived since this was last asked."""
        found = []
        with suppress(Empty):
            while True:
                found.append(self._arrived.get_nowait())
        return found

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(DEADLINE)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(DEADLINE)
            first, rest = _read_request(connection)
            if first is None:
                return
            self._arrived.put(first)
            connection.sendall(_answer(first))
            with suppress(TimeoutError):
                connection.settimeout(0.2)
                while more := connection.recv(65536):
                    rest += more
            if rest:  # a second request on the same connection: nobody here asks for that
                self._arrived.put(Arrival(head=rest, body=b""))


def _read_request(connection: socket.socket) -> tuple[Arrival | None, bytes]:
    """The request, and what came behind it."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (piece := connection.recv(65536)):
            return (Arrival(head=received, body=b""), b"") if received else (None, b"")
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    while length and len(body) < int(length[1]):
        if not (piece := connection.recv(1 << 20)):
            break
        body += piece
    while _CHUNKED.search(head) and not body.endswith(b"0\r\n\r\n"):
        if not (piece := connection.recv(1 << 20)):
            break
        body += piece
    if _CHUNKED.search(head):
        return Arrival(head=head, body=_joined(body)), b""
    end = int(length[1]) if length else 0
    return Arrival(head=head, body=body[:end]), body[end:]


def _joined(chunks: bytes) -> bytes:
    """The content of chunks."""
    content = bytearray()
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        content += rest[: int(size, 16)]
        chunks = rest[int(size, 16) + 2 :]
    return bytes(content)


def _answer(to: Arrival) -> bytes:
    if _UPGRADE.search(to.head):
        key = "".join(to.values("sec-websocket-key")) + _GUID
        accept = b64encode(sha1(key.encode("latin-1"), usedforsecurity=False).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        return head + b"sec-websocket-accept: " + accept + b"\r\n\r\n"
    length = b"0" if to.method == b"HEAD" else str(len(ANSWER)).encode()
    body = b"" if to.method == b"HEAD" else ANSWER
    return b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: " + length + b"\r\n\r\n" + body
