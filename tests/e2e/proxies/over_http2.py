"""A client that speaks HTTP/2 by hand, so that a path may hold whatever bytes: no library would send them."""

import socket
import ssl
from typing import Final

from tests.e2e.http2 import HEADERS, PREFACE, SETTINGS, frame
from tests.e2e.proxies.client import HOST
from tests.e2e.running import DEADLINE, Pki

__all__ = ["MOST", "ask"]

MOST: Final = 16000  # in one frame
_END: Final = 0x1 | 0x4  # of the stream, of the headers
_RESET, _GO_AWAY = 3, 7


def ask(pki: Pki, port: int, path: bytes, *, client: str = "web") -> bool:
    """Whether a request is answered on its stream, whatever with."""
    fields = ((b":method", b"GET"), (b":scheme", b"https"), (b":path", path), (b":authority", HOST.encode()))
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)
    context = pki.context(client)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as sock,
    ):
        assert sock.selected_alpn_protocol() == "h2"
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, _END, 1, block))
        return _is_answered(sock)


def _text(text: bytes) -> bytes:
    """A string literal, as it is (RFC 7541, section 5.2); its length is an integer of section 5.1."""
    if len(text) < 127:
        return bytes([len(text)]) + text
    length, rest = b"\x7f", len(text) - 127
    while rest >= 128:
        length += bytes([rest % 128 + 128])
        rest //= 128
    return length + bytes([rest]) + text


def _is_answered(sock: ssl.SSLSocket) -> bool:
    """Read frames until there is the head of an answer, or there will be none."""
    received = b""
    try:
        while True:
            while len(received) >= 9 and len(received) >= 9 + int.from_bytes(received[:3]):
                kind = received[3]
                if kind in {HEADERS, _RESET, _GO_AWAY}:
                    return kind == HEADERS
                received = received[9 + int.from_bytes(received[:3]) :]
            if not (piece := sock.recv(65536)):
                return False
            received += piece
    except (TimeoutError, ConnectionError, ssl.SSLError):
        return False
