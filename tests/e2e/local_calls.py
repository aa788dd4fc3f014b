"""The service in plaintext, for this machine alone, and who asks it: over a Unix socket, over loopback."""

import http.client
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.running import DEADLINE, JSON, Pki, Reply, Service, send

__all__ = ["LocalService", "short_folder"]


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket, and which other users may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="pdp-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self._path)


class LocalService(Service):
    """`pdp serve` with settings that are given as TOML, without TLS."""

    def __init__(self, pki: Pki, policies: Path, settings: str, file: Path) -> None:
        file.write_text(f'[policies]\npath = "{policies}"\n{settings}', encoding="utf-8")
        command = [sys.executable, "-m", "pdp.cli.main", "serve", "--config", str(file)]
        super().__init__(pki, policies, command=command, started="serving revision ")
        self.where = self.wait_line("serving revision ").rpartition(" on ")[2]

    def local(self) -> http.client.HTTPConnection:
        """A connection of its own, as this process's user."""
        if self.where.startswith("unix:"):
            return _Unix(self.where.removeprefix("unix:"))
        return http.client.HTTPConnection(self.where.removeprefix("http://"), timeout=DEADLINE)

    def ask(
        self,
        body: bytes | str | dict[str, Any],
        *,
        path: str = "/v1/decide",
        method: str = "POST",
        headers: dict[str, str] | None = None,
        content: str | None = JSON["content-type"],
    ) -> Reply:
        """One request on a connection of its own; `headers` are added to the media type."""
        connection = self.local()
        media = {} if content is None else {"content-type": content}
        try:
            return send(connection, body, path=path, method=method, headers={**media, **(headers or {})})
        finally:
            connection.close()

    def bytes(self, data: bytes) -> bytes:
        """What comes back for these bytes, until the service closes."""
        connection = self.local()
        connection.connect()
        received = b""
        try:
            connection.sock.sendall(data)
            while chunk := connection.sock.recv(65536):
                received += chunk
        finally:
            connection.close()
        return received
