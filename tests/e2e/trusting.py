"""A service whose files of trust and certificate change while it runs, and callers under several roots."""

import json
import shutil
import socket
import ssl
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.e2e.grpc_calls import call, channel, grpc_port, to_question
from tests.e2e.running import PARTNER, PEP, PROD, Pki, Service, question, request_bytes
from tests.identity.mint import Party, authority

__all__ = ["ASKED", "Trusting", "replace", "rest_of", "swap"]

ASKED = to_question(question())


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file as careful programs do: whole, under its name, in one step."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(content)
    beside.chmod(mode)
    beside.rename(path)


def swap(folder: Path, files: dict[str, bytes]) -> None:
    """Write files as Kubernetes does in a mounted Secret: a new directory, and `..data` points at it."""
    folder.mkdir(exist_ok=True)
    kept = folder / f"..{time.monotonic_ns()}"
    kept.mkdir()
    for name, content in files.items():
        (kept / name).write_bytes(content)
        (kept / name).chmod(0o600)
        with suppress(FileExistsError):
            (folder / name).symlink_to(f"..data/{name}")
    before = (folder / "..data").readlink() if (folder / "..data").is_symlink() else None
    (folder / "..data_tmp").symlink_to(kept.name)
    (folder / "..data_tmp").rename(folder / "..data")
    if before is not None:
        shutil.rmtree(folder / before)


def rest_of(sock: ssl.SSLSocket, seconds: float = 15.0) -> tuple[bytes, float]:
    """What an open connection still gives until its other end closes it, and how long that took."""
    sock.settimeout(seconds)
    began, received = time.monotonic(), b""
    with suppress(ConnectionError, ssl.SSLError):
        while chunk := sock.recv(65536):
            received += chunk
    return received, time.monotonic() - began


class Trusting:
    """Certificates of three roots of one trust domain, and a service that begins with two of them.

    `pep` comes from the first root, which also signed our own certificate, `second` from the second,
    `third` from the third; all three have the name of one caller. `mounted`: the file of the roots lies
    in a directory as Kubernetes mounts a Secret.
    """

    def __init__(self, folder: Path, policies: Path, *more: str, mounted: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        self.mounted = mounted
        self.pki = Pki(folder)
        span: dict[str, Any] = {
            "start": self.pki.now - timedelta(days=1),
            "end": self.pki.now + timedelta(days=30),
        }
        self.first = self.pki.root
        self.second, self.third = (
            authority(f"prod root {name}", uris=[f"spiffe://{PROD}"], **span) for name in ("two", "three")
        )
        self.pki.issue("second", self.second, uris=[PEP])
        self.pki.issue("third", self.third, uris=[PEP])
        self.file = (folder / "mount" if mounted else folder) / "trusted.pem"
        self.believe(self.first, self.second)
        self.service = Service(
            self.pki, policies, "--grpc", "127.0.0.1:0", *more,
            trust=(f"{PROD}={self.file}", f"{PARTNER}={folder / 'partner.pem'}"),
        )  # fmt: skip
        self.grpc_port = grpc_port(self.service)

    def believe(self, *roots: Party) -> None:
        """Let the file hold these roots."""
        content = b"".join(root.pem for root in roots)
        if self.mounted:
            swap(self.file.parent, {self.file.name: content})
        else:
            replace(self.file, content)

    def over_http(self, name: str, context: ssl.SSLContext | None = None) -> bytes:
        """All that comes back for a question on a new connection; nothing if there is none."""
        body = json.dumps(question()).encode()
        received = b""
        with (
            suppress(ssl.SSLError, ConnectionError),
            self.service.tls(name, context) as sock,
        ):
            sock.settimeout(15)
            sock.sendall(request_bytes(body, f"content-length: {len(body)}"))
            while chunk := sock.recv(65536):
                received += chunk
        return received

    def over_grpc(self, name: str) -> Any:
        """An answer on a new connection, or why there is none."""
        with channel(self.pki, self.grpc_port, name) as on:
            return call(on, "Decide", ASKED)

    def plain(self, port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), 15)
