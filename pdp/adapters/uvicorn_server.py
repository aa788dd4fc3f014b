"""uvicorn's server as we run it: connections accepted by `Acceptor`, ended by signals without a failure."""

import asyncio
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from ssl import SSLContext
from types import FrameType
from typing import Any, Final, final

import uvicorn

from pdp.adapters.accepting import Acceptor, Balance
from pdp.limits import MAX_CONNECTIONS

__all__ = ["Server", "event_loops"]

_BACKLOG: Final = 1024
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def event_loops() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loops that uvicorn would run in."""
    return uvicorn.Config(app="", log_config=None).get_loop_factory()


@final
class Server(uvicorn.Server):
    """uvicorn's server, for which being told to end is no failure."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        context: Callable[[], SSLContext | None],
        ending: Callable[[], Awaitable[None]],
        drain: Callable[[], float],
        balance: Balance | None = None,
        signals: bool = True,
    ) -> None:
        """A server that is not started; without `signals` it is ended by whoever has started it."""
        super().__init__(config)
        self._signals = signals
        self._context = context
        self._ending = ending
        self._drain = drain
        self._balance = balance
        self._draining = False
        self._acceptor: Acceptor | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn: accept connections. It would accept as many as there are, and never wait."""
        await super().startup(sockets=[])
        for listener in sockets or ():
            self._acceptor = Acceptor(
                listener,
                protocol=self._protocol,
                context=self._context,
                connections=lambda: len(self.server_state.connections),
                most=MAX_CONNECTIONS,
                balance=self._balance,
            )
            self._acceptor.start(_BACKLOG)

    def _protocol(self) -> asyncio.Protocol:
        made: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = made(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        if self._acceptor is not None:
            self._acceptor.note()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM begins a grace period, in which connections are accepted; a second signal ends it.

        Of several processes each may be told twice, by whoever runs the service and by its supervisor:
        there SIGINT alone ends the period.
        """
        if sig == signal.SIGTERM and self._draining and self._balance is not None:
            return
        if sig == signal.SIGTERM and not self._draining:
            self._draining = True
            if seconds := self._drain():
                timer = threading.Timer(seconds, super().handle_exit, (sig, frame))
                timer.daemon = True  # a second signal is not to wait for it
                timer.start()
                return
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn once it was told to end."""
        ending = asyncio.ensure_future(self._ending())
        if self._acceptor is not None:
            await self._acceptor.finish()
        await super().shutdown(sockets)
        await ending

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """End by SIGINT and SIGTERM. uvicorn would raise them again once it has ended cleanly."""
        if not self._signals or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
