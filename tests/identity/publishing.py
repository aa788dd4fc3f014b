"""A real HTTPS server on this machine that publishes documents, well or badly."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.identity.mint import Party, authority, leaf

_SPAN = {"start": datetime.now(UTC) - timedelta(days=1), "end": datetime.now(UTC) + timedelta(days=1)}


class Publisher:
    """What a server answers, and what it was asked.

    Attributes:
        answer: What answers a request, given its handler; by default the document.
        document: What is published.
        asked: The request lines, with the headers of each.
    """

    def __init__(self, port: int, roots: Path, context: ssl.SSLContext) -> None:
        self.url = f"https://localhost:{port}/keys"
        self.port = port
        self.roots = roots
        self.server_context = context
        self.document = b""
        self.answer: Callable[[Any], None] = self.publish
        self.asked: list[tuple[str, dict[str, str]]] = []

    def publish(self, handler: Any) -> None:
        send(handler, self.document)

    def present(self, pair_file: Path) -> None:
        """Have another certificate from the next handshake on."""
        self.server_context.load_cert_chain(pair_file)

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.roots))


def send(handler: Any, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in ({"content_length": str(len(body))} | headers).items():
        if value:
            handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def drip(handler: Any, piece: bytes, pause: float) -> None:
    """An octet now and then, for as long as somebody reads."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(piece)
            time.sleep(pause)
    except OSError:
        handler.close_connection = True


def pair(folder: Path, issuer: Party, **names: Any) -> Path:
    """A server's certificate with its key, in one file."""
    party = leaf(issuer, uris=(), **{"dns": ("localhost",), "ips": ("127.0.0.1",), **names}, **_SPAN)
    key = party.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = folder / "server.pem"
    file.write_bytes(party.pem + key)
    return file


@contextmanager
def publishing(folder: Path, *, pair_file: Path | None = None, **names: Any) -> Iterator[Publisher]:
    """A server until the end of the block, with a certificate for `names`, or the one in a file."""
    root = authority("root", **_SPAN)
    (folder / "roots.pem").write_bytes(root.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair_file or pair(folder, root, **names))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            publisher.asked.append((self.requestline, dict(self.headers)))
            publisher.answer(self)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> Any:
            sock, address = super().get_request()
            return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, *_: object) -> None:
            pass  # a client that goes away

    server = Server(("127.0.0.1", 0), Handler)
    publisher = Publisher(server.server_address[1], folder / "roots.pem", context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield publisher
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
