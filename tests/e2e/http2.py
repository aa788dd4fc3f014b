"""HTTP/2 by hand, as far as a test of what grpcio does with odd bytes needs it."""

import socket
import ssl

from tests.e2e.running import DEADLINE, Pki

__all__ = ["PREFACE", "data", "frame", "grpc_message", "grpc_request", "headers", "read_all", "tls"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4


def tls(
    pki: Pki,
    port: int,
    name: str | None = "pep",
    *,
    most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    session: ssl.SSLSession | None = None,
    context: ssl.SSLContext | None = None,
) -> ssl.SSLSocket:
    """A socket on which the handshake is made. Sessions are resumed within one context only."""
    if context is None:
        context = pki.context(name)
    context.set_alpn_protocols(["h2"])
    context.maximum_version = most
    plain = socket.create_connection(("127.0.0.1", port), DEADLINE)
    return context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + body


def headers(path: bytes, *more: tuple[bytes, bytes], stream: int = 1) -> bytes:
    """A request's head: literals that are not indexed (RFC 7541 section 6.2.2)."""
    fields = (
        (b":method", b"POST"), (b":scheme", b"https"), (b":path", path), (b":authority", b"pdp"),
        (b"content-type", b"application/grpc"), (b"te", b"trailers"), *more,
    )  # fmt: skip
    block = b"".join(
        b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in fields
    )
    return frame(HEADERS, END_HEADERS, stream, block)


def grpc_message(message: bytes, *, length: int | None = None) -> bytes:
    return b"\0" + (len(message) if length is None else length).to_bytes(4) + message


def data(body: bytes, *, stream: int = 1) -> bytes:
    return frame(DATA, END_STREAM, stream, body)


def grpc_request(path: bytes, message: bytes) -> bytes:
    """A whole call on a new connection."""
    return PREFACE + frame(SETTINGS, 0, 0, b"") + headers(path) + data(grpc_message(message))


def read_all(sock: ssl.SSLSocket, wait: float = 2.0, until: bytes = b"") -> bytes:
    """What comes back until a text is in it, the other end closes, or nothing comes any more."""
    sock.settimeout(wait)
    received = b""
    try:
        while chunk := sock.recv(65536):
            received += chunk
            if until and until in received:
                break
    except (TimeoutError, ConnectionError, ssl.SSLError):
        pass
    return received
