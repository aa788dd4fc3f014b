"""Somebody who is not the PDP, at its addresses."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.e2e.proxies.edges import Edge
from tests.e2e.running import DEADLINE

__all__ = ["impostor"]


@contextmanager
def impostor(edge: Edge, name: str) -> Iterator[list[bytes]]:
    """Somebody else at both addresses of the PDP, who allows everything; what was said to it."""
    said: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(edge.pki.folder / f"{name}.pem", edge.pki.folder / f"{name}-key.pem")
    context.set_alpn_protocols(["h2", "http/1.1"])

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as sock:
                    sock.settimeout(1)
                    if data := sock.recv(65536):
                        said.append(data)
                        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    listening = [socket.create_server(("127.0.0.1", port)) for port in (edge.places.http, edge.places.grpc)]
    threads = [threading.Thread(target=serve, args=(one,), daemon=True) for one in listening]
    for thread in threads:
        thread.start()
    try:
        yield said
    finally:
        for one in listening:
            one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in threads:
            thread.join(DEADLINE)
