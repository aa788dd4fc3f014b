"""The listener for probes: in the event loop of the decisions, so that it lives as long as they do."""

import asyncio
import logging
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, final

import uvicorn

from pdp.adapters.bounded import BoundedProtocol
from pdp.adapters.health import HealthApp
from pdp.limits import MAX_PROBE_CONNECTIONS
from pdp.service.health import Health

__all__ = ["HealthListener"]

_KEEP_ALIVE_SECONDS: Final = 30
_END_SECONDS: Final = 2


@final
class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are for the decision listener, which ends this one."""
        yield


@final
class HealthListener:
    """Answers probes from when it is started until it is stopped."""

    def __init__(self, listener: socket.socket, health: Health, *, say: Callable[[str], None]) -> None:
        """Listen on a bound socket; `say` is told where, once it does."""
        self._listener = listener
        self._say = say
        self._server = _Server(
            uvicorn.Config(
                HealthApp(health),
                http=BoundedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=logging.ERROR,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MAX_PROBE_CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_END_SECONDS,
            )
        )
        self._running: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it listens: HOST:PORT."""
        host, port = self._listener.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self) -> None:
        """Accept connections."""
        address = self.address
        self._running = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        while not (self._server.started or self._running.done()):  # noqa: ASYNC110 - a flag, not an event
            await asyncio.sleep(0.005)
        self._say(f"answering probes on http://{address}/health/ready")

    async def drain(self) -> None:
        """Nothing: what is told is read from the health of the service."""

    async def stop(self, seconds: float) -> None:
        """Accept no more probes."""
        del seconds
        self._server.should_exit = True
        if self._running is not None:
            await self._running
        self._listener.close()
