"""A client that sends bytes as they are over TLS, and takes whatever comes back."""

import socket
import ssl
import time
from dataclasses import dataclass

from tests.e2e.running import DEADLINE, Pki

__all__ = ["HOST", "Answer", "get", "send"]

HOST = "payments.example.com"
NAMES = (HOST, "folding.example.com")  # of the proxy's certificate


@dataclass(frozen=True)
class Answer:
    """What came back; the status is 0 where the connection ended without one.

    Attributes:
        seconds: From the first byte that was sent to the last one that came.
    """

    status: int
    raw: bytes
    seconds: float

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]


def get(
    target: bytes | str = "/v1/charges/41", *headers: str, method: str = "GET", host: str = HOST
) -> bytes:
    """A request without a body; the connection ends with it."""
    raw = target if isinstance(target, bytes) else target.encode("ascii")
    head = [f"host: {host}", "connection: close", *headers, "", ""]
    return method.encode() + b" " + raw + b" HTTP/1.1\r\n" + "\r\n".join(head).encode("latin-1")


def send(
    pki: Pki,
    port: int,
    data: bytes,
    *,
    client: str | None = "web",
    name: str = HOST,
    most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    wait: float = DEADLINE,
) -> Answer:
    """Send bytes on a connection of their own, and read until the other end closes it or has answered."""
    context = pki.context(client)
    context.maximum_version = most
    context.check_hostname = name in NAMES
    began = time.monotonic()
    received = b""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), DEADLINE) as plain,
            context.wrap_socket(plain, server_hostname=name) as sock,
        ):
            # What is sent goes out without waiting for more, which took forty milliseconds a request.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(wait)
            began = time.monotonic()
            sock.sendall(data)
            while not _is_whole(received) and (piece := sock.recv(65536)):
                received += piece
    except (TimeoutError, ConnectionError, ssl.SSLError):
        pass
    status = received.split(b" ", 2)[1] if received.startswith(b"HTTP/") else b"0"
    return Answer(status=int(status), raw=received, seconds=time.monotonic() - began)


def _is_whole(received: bytes) -> bool:
    """Whether an answer has come that says how long it is, or that changes the protocol."""
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    if head.startswith(b"HTTP/1.1 101"):
        return True
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return False
