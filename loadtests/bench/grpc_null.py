"""Servers of grpcio that do nothing: the same bytes for every message, over mutual TLS.

What they carry is the most that anything over grpcio can. Begun by `grpc_calls.py`, each as a process:

.venv/bin/python -m loadtests.bench.grpc_null asyncio FOLDER PORT
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
import uvloop

from pdp.adapters.grpc.environment import settle

DECISION, AUTHORIZATION = "pdp.v1.DecisionService", "envoy.service.auth.v3.Authorization"
#: As many bytes as an answer has.
SAID: Final = bytes(200)
_THREADS: Final = 4  # more are slower: they wait for one lock
_STREAMS: Final = (("grpc.max_concurrent_streams", 256),)


def _added(server: Any, folder: Path, port: int, unary: Any, stream: Any) -> None:
    handlers = {
        "Decide": grpc.unary_unary_rpc_method_handler(unary),
        "Check": grpc.unary_unary_rpc_method_handler(unary),
        "DecideStream": grpc.stream_stream_rpc_method_handler(stream),
    }
    found = tuple(grpc.method_handlers_generic_handler(name, handlers) for name in (DECISION, AUTHORIZATION))
    server.add_generic_rpc_handlers(found)
    key, leaf = ((folder / f"server{part}.pem").read_bytes() for part in ("-key", ""))
    roots = (folder / "prod.pem").read_bytes()
    credentials = grpc.ssl_server_credentials([(key, leaf)], roots, require_client_auth=True)
    server.add_secure_port(f"127.0.0.1:{port}", credentials)


async def _in_asyncio(folder: Path, port: int) -> None:
    async def unary(_: bytes, __: Any) -> bytes:
        return SAID

    async def stream(messages: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for _ in messages:
            yield SAID

    server = grpc.aio.server(options=_STREAMS)
    _added(server, folder, port, unary, stream)
    await server.start()
    await server.wait_for_termination()


def _in_threads(folder: Path, port: int) -> None:
    def unary(_: bytes, __: Any) -> bytes:
        return SAID

    def stream(messages: Iterator[bytes], _: Any) -> Iterator[bytes]:
        for _ in messages:
            yield SAID

    server = grpc.server(ThreadPoolExecutor(_THREADS), options=_STREAMS)
    _added(server, folder, port, unary, stream)
    server.start()
    server.wait_for_termination()


def main() -> None:
    """Serve until ended."""
    kind, folder, port = sys.argv[1:]
    settle()
    match kind:
        case "threads":
            _in_threads(Path(folder), int(port))
        case "uvloop":
            uvloop.run(_in_asyncio(Path(folder), int(port)))
        case "asyncio":
            asyncio.run(_in_asyncio(Path(folder), int(port)))


if __name__ == "__main__":
    main()
