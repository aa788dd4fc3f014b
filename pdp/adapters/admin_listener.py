"""The listener for those who administer: mTLS to roots of its own, on an address of its own."""

import asyncio
import logging
import socket
from collections.abc import Callable
from ssl import SSLContext
from typing import Final, final

import uvicorn
from starlette.types import ASGIApp

from pdp.adapters.connection import protocol_class
from pdp.adapters.tls import ServerTls
from pdp.adapters.uvicorn_server import Server
from pdp.limits import DEFAULT_CONNECTION_SECONDS, MAX_ADMIN_CONNECTIONS
from pdp.service.known_callers import KnownCallers
from pdp.vocabulary import Millis

__all__ = ["AdminListener"]

_KEEP_ALIVE_SECONDS: Final = 30
_END_SECONDS: Final = 2


@final
class AdminListener:
    """Answers those who administer from when it is started until it is stopped."""

    def __init__(
        self,
        listener: socket.socket,
        app: ASGIApp,
        *,
        tls: ServerTls,
        presented: ServerTls,
        clock: Callable[[], Millis],
        say: Callable[[str], None],
    ) -> None:
        """Listen on a bound socket.

        Args:
            listener: The socket.
            app: What answers.
            tls: Has the roots of those who administer.
            presented: Has the certificate that is presented, which may be renewed.
            clock: The wall clock.
            say: Told where it listens, once it does.
        """
        self._listener, self._tls, self._presented, self._say = listener, tls, presented, say
        self._server = Server(
            uvicorn.Config(
                app,
                http=protocol_class(KnownCallers(tls.trust, clock), DEFAULT_CONNECTION_SECONDS),
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=logging.ERROR,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MAX_ADMIN_CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_END_SECONDS,
            ),
            context=self._context,
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

    def _context(self) -> SSLContext:
        """What a handshake begins with: the certificate of the moment, and our own roots."""
        credential = self._presented.current.credential
        if credential is not self._tls.current.credential:
            self._tls.replace_credential(credential)
        return self._tls.current.context

    async def start(self) -> None:
        """Accept connections."""
        self._running = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        while not (self._server.started or self._running.done()):  # noqa: ASYNC110 - a flag, not an event
            await asyncio.sleep(0.005)
        self._say(f"the quarantine is administered on {self.address}, over mTLS")

    async def drain(self) -> None:
        """Nothing: whoever is quarantined while the service ends is so at the next start."""

    async def stop(self, seconds: float) -> None:
        """Accept no more."""
        del seconds
        self._server.should_exit = True
        if self._running is not None:
            await self._running
        self._listener.close()


async def _nothing() -> None:
    return
