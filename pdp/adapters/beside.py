"""A listener beside that of decisions: in the same event loop, begun and ended with it, on its own socket."""

import asyncio
import logging
import socket
from collections.abc import Callable
from ssl import SSLContext
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from pdp.adapters.places import PlacedProtocol
from pdp.adapters.uvicorn_server import Server

__all__ = ["BesideListener"]

_END_SECONDS: Final = 2


class BesideListener:
    """Answers from when it is started until it is stopped; signals are for the decision listener."""

    def __init__(
        self,
        listener: socket.socket,
        app: ASGIApp,
        *,
        protocol: type[PlacedProtocol],
        idle_seconds: int,
        told: Callable[[str], None],
        context: Callable[[], SSLContext | None] = lambda: None,
    ) -> None:
        """Listen on a bound socket.

        Args:
            listener: The socket.
            app: What answers.
            protocol: How connections are listened to, and how many of them.
            idle_seconds: How long one may ask nothing.
            told: Told where it listens, HOST:PORT, once it does.
            context: Gives what each handshake begins with; None for plaintext.
        """
        self._listener, self._told = listener, told
        self._server = Server(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=logging.ERROR,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=idle_seconds,
                timeout_graceful_shutdown=_END_SECONDS,
            ),
            context=context,
            ending=_nothing,
            drain=lambda: 0,
            signals=False,
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
        self._told(address)

    async def drain(self) -> None:
        """Nothing: it answers until it is stopped."""

    async def stop(self, seconds: float) -> None:
        """Accept no more."""
        del seconds
        self._server.should_exit = True
        if self._running is not None:
            await self._running
        self._listener.close()


async def _nothing() -> None:
    return
