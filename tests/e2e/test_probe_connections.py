"""Probes are answered however many connections others hold: a probe that is told no has the service ended."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pdp.limits import MAX_PROBE_CONNECTIONS
from tests.e2e.running import Pki, Service
from tests.e2e.test_life import probe, serve


@pytest.fixture
def served(pki: Pki, policies: Path, tmp_path: Path) -> Iterator[Service]:
    service = serve(pki, policies, tmp_path / "pdp.toml", '[health]\nlisten = "127.0.0.1:0"\n')
    yield service
    service.stop()


def where(service: Service) -> tuple[str, int]:
    host, _, port = service.wait_line("http://").split("http://")[1].partition("/")[0].partition(":")
    return host, int(port)


@pytest.mark.parametrize("first", [b"", b"GET /health/live HTTP/1.1\r\nhost: x\r\n"])
def test_connections_that_ask_nothing_whole_keep_no_probe_out(served: Service, first: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(2 * MAX_PROBE_CONNECTIONS):
            sock = stack.enter_context(socket.create_connection(where(served), 5))
            sock.sendall(first)

            assert probe(served, "/health/live") == (200, b"yes\n")


def test_an_idle_connection_is_closed_after_two_seconds(served: Service) -> None:
    with socket.create_connection(where(served), 5) as sock:
        sock.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        sock.settimeout(5)
        received = b""
        while chunk := sock.recv(4096):  # until it is closed
            received += chunk

    assert received.endswith(b"yes\n")
