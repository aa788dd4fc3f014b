"""Applications behind the middleware, on real servers, and a policy about them."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.running import Pki, Service, clean_environment, until

POLICY = """\
language 1
trust domain prod = "prod.example.org"

service web.shop {
    allow prod/ns/shop/sa/* to GET /v1/items/{id}, HEAD /v1/items/{id} as read-item
    allow prod/ns/shop/sa/* to GET /v1/plan as plan
        set header x-plan = "shop" remove header x-debug
    allow prod/ns/shop/sa/* to GET /v1/length as length set header content-length = "0"
    allow prod/ns/shop/sa/* to GET /v1/inside when header.x-env == "prod" as inside
    allow prod/ns/shop/sa/* to GET /v1/local when source.ip in 127.0.0.0/8 as local
    allow prod/ns/shop/sa/* to GET /v1/named when request.host == "web.shop" as named
    allow prod/ns/shop/sa/* to GET /ws as socket
    allow prod/ns/shop/sa/* to POST /grpc.health.v1.Health/Check as check set header x-plan = "shop"
    allow prod/ns/shop/sa/* to POST /grpc.health.v1.Health/Watch as watch
}
service closed.shop {}
caller prod/ns/pdp/sa/pep fronts any service may assert any principal of prod supplies header, source, request
caller prod/ns/shop/sa/front fronts any service may assert any principal of prod
caller prod/ns/pdp/sa/pep fronts any service may present xfcc, certificate of any principal of prod
    supplies header, source, request
"""
WEB = "spiffe://prod.example.org/ns/shop/sa/web"
PEER = {"x-peer": WEB}


def ask(port: int, path: str, method: str = "GET", headers: Any = PEER) -> tuple[int, Any]:
    """One request, its target sent as it stands here; the status, and what the application saw."""
    lines = list(headers.items()) if isinstance(headers, dict) else headers
    with socket.create_connection(("127.0.0.1", port), 15) as sock:
        head = [f"{method} {path} HTTP/1.1", "host: web.shop", "connection: close"]
        head += [f"{name}: {value}" for name, value in lines]
        sock.sendall("\r\n".join([*head, "", ""]).encode("latin-1"))
        response = http.client.HTTPResponse(sock, method=method)
        response.begin()
        body = response.read()
    return response.status, json.loads(body) if body.startswith(b"{") else body


@contextmanager
def served(command: list[str], folder: Path, **environment: str) -> Iterator[int]:
    """A server in a process of its own, until it accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [part.replace("PORT", str(port)) for part in command],
        cwd=folder,
        env={**clean_environment(), **environment, "PYTHONPATH": os.pathsep.join(map(str, ROOTS))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
    reader.start()
    try:
        until(lambda: accepts(port) or process.poll() is not None, 30)
        assert process.poll() is None, "".join(lines)
        yield port
    finally:
        process.terminate()
        process.wait(15)
        reader.join(15)
        assert process.stdout is not None
        process.stdout.close()


ROOTS = [Path(__file__).parents[3], Path(__file__).parents[1] / "src"]


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def environment(pki: Pki, service: Service | None, **more: str) -> dict[str, str]:
    """What the applications below find the service by; without one there is nobody to ask."""
    return {"FRONTED_PKI": str(pki.folder), "FRONTED_PORT": str(service.port if service else 1), **more}


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
