"""A caller that opens all the gRPC calls it can: `greedy.py PORT PEMS CONNECTIONS METHOD...`.

A process of its own: grpcio's asynchronous client knows one event loop. It prints what came of its calls,
and keeps those that are open until its input ends.
"""

import asyncio
import json
import sys
from collections import Counter
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest

from pdp.limits import MAX_GRPC_CALLS_PER_CONNECTION
from tests.e2e.grpc_calls import SERVICE, failure_of, to_question
from tests.e2e.running import question

SETTLED_SECONDS = 2.0
#: What each kind of call begins with, so that it is answered once and then stays open.
FIRST = {
    f"{SERVICE}/DecideStream": to_question(question()).SerializeToString(),
    f"{SERVICE}/WatchRevisions": b"",
    "/grpc.health.v1.Health/Watch": HealthCheckRequest().SerializeToString(),
}


async def asked(stream: Any, method: str) -> str:
    """Ask the first thing in a call; `open`, or why it is not.

    A call that is refused already is asked nothing: grpcio would tell of the sending that failed.
    """
    try:
        if not stream.done():
            await stream.write(FIRST[method])
        assert await stream.read() is not grpc.aio.EOF
    except grpc.aio.AioRpcError as error:
        found = failure_of(error)
        return f"{found.status} {found.code or found.message}"
    return "open"


async def settled(streams: list[Any]) -> None:
    """Wait until no call is refused any more."""
    before = -1
    while (now := sum(stream.done() for stream in streams)) != before:
        before = now
        await asyncio.sleep(SETTLED_SECONDS)


async def main(port: str, folder: Path, connections: int, methods: list[str]) -> None:
    """Begin as many calls on each connection as it may have, of one kind each."""
    root, key, leaf = ((folder / f"{name}.pem").read_bytes() for name in ("prod", "pep-key", "pep"))
    credentials = grpc.ssl_channel_credentials(root, key, leaf)
    apart = [("grpc.use_local_subchannel_pool", 1)]
    async with AsyncExitStack() as opened:
        on = [
            await opened.enter_async_context(grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, apart))
            for _ in range(connections)
        ]
        begun = [
            (each.stream_stream(method)(), method)
            for each, method in zip(on, cycle(methods))
            for _ in range(MAX_GRPC_CALLS_PER_CONNECTION)
        ]
        await settled([stream for stream, _ in begun])
        print(json.dumps(Counter(await asyncio.gather(*(asked(*call) for call in begun)))), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
