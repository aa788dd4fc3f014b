"""The listener: a socket, TLS and uvicorn, for as long as it is wanted, and what listens beside it.

uvicorn's defaults that would believe or tell too much are off: proxy headers, websockets, the
server header, the access log.
"""

import asyncio
import errno
import logging
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, final

import uvicorn

from pdp.adapters.app import build_app
from pdp.adapters.connection import protocol_class
from pdp.adapters.local import Local, local_protocol_class
from pdp.adapters.metrics_page import MetricsPage
from pdp.adapters.tls import ServerCredentialError, server_context
from pdp.identity.trust import TrustStore
from pdp.limits import MAX_ARRIVAL_SECONDS
from pdp.service.decision_service import DecisionService
from pdp.service.health import Health
from pdp.vocabulary import Millis

__all__ = ["AddressInUseError", "Beside", "CannotListenError", "Listener", "bind"]

_KEEP_ALIVE_SECONDS = 75  # longer than proxies keep idle connections, so that they close first
_BACKLOG = 1024
# A request in flight ends by itself before this: it has arrived or is refused by then, and waits
# for a revision no longer than a second.
_DRAIN_SECONDS = round(MAX_ARRIVAL_SECONDS) + 5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class AddressInUseError(OSError):
    """Something listens there already."""


class CannotListenError(Exception):
    """A listener beside ours does not start; the message says where and why."""


def bind(host: str, port: int) -> socket.socket:
    """Bind the address; port 0 takes a free one.

    Raises:
        AddressInUseError: Something listens there already.
        OSError: The address is not ours, or not permitted.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(error.errno, f"{host}:{port} is in use") from error
        raise
    return listener


class Beside(Protocol):
    """Another protocol's listener, in the same loop and for as long."""

    @property
    def address(self) -> str:
        """Where it listens, once it is started."""

    async def start(self) -> None:
        """Accept connections, or raise CannotListenError."""

    async def drain(self) -> None:
        """Tell whoever asks that no more calls should come; they are answered all the same."""

    async def stop(self, seconds: float) -> None:
        """Accept no more, and end; calls in flight have these seconds."""


@final
class _Server(uvicorn.Server):
    """uvicorn's server, for which being told to end is no failure."""

    def __init__(
        self, config: uvicorn.Config, ending: Callable[[], Awaitable[None]], drain: Callable[[], float]
    ) -> None:
        super().__init__(config)
        self._ending = ending
        self._drain = drain
        self._draining = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM begins a grace period, in which connections are accepted; a second signal ends it."""
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
        await super().shutdown(sockets)
        await ending

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """End by SIGINT and SIGTERM. uvicorn would raise them again once it has ended cleanly."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _mutual_tls(
    certificate: Path | None, key: Path | None, trust: TrustStore, clock: Callable[[], Millis]
) -> dict[str, Any]:
    """What uvicorn has to know to speak mTLS."""
    if certificate is None or key is None:
        raise ServerCredentialError("without a certificate and its key there is no mTLS")
    context = server_context(certificate, key, trust)
    return {
        "http": protocol_class(lambda: trust, clock),
        "ssl_context_factory": lambda _config, _default: context,
    }


@final
class Listener:
    """The decision listener: over mTLS, or in plaintext for peers that are known otherwise."""

    def __init__(  # noqa: PLR0913 -- what a listener is made of
        self,
        service: DecisionService,
        *,
        certificate: Path | None,
        key: Path | None,
        trust: TrustStore,
        clock: Callable[[], Millis],
        local: Local | None = None,
        beside: Sequence[Beside] = (),
        health: Health | None = None,
        grace_seconds: float = 0,
        metrics: MetricsPage | None = None,
    ) -> None:
        """A listener that is not started.

        Args:
            service: Who decides.
            certificate: Our certificate chain; not looked at where `local` is given.
            key: Its private key; the same.
            trust: The roots that callers are verified to; the same.
            clock: The wall clock.
            local: Speak plaintext, and know callers in this way; None for mTLS.
            beside: Other listeners, started before this one and stopped with it, the first one last.
            health: What is told to probes.
            grace_seconds: How long connections are still accepted after SIGTERM.
            metrics: What `/metrics` shows, and to whom; None for nobody.

        Raises:
            ServerCredentialError: Certificate and key cannot be used.
        """
        self._service = service
        self._beside = tuple(beside)
        self._health = health
        self._grace_seconds = grace_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: list[asyncio.Future[None]] = []
        self._config = uvicorn.Config(
            build_app(service, metrics),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.ERROR,  # what a peer did wrong is told to the peer
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            backlog=_BACKLOG,
            **(
                _mutual_tls(certificate, key, trust, clock)
                if local is None
                else {"http": local_protocol_class(local)}
            ),
        )
        self._server = _Server(self._config, self._end, self._drain)

    def run(self, listener: socket.socket, *, ready: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM; `ready` is called once connections are accepted."""
        with closing(listener), asyncio.Runner(loop_factory=self._config.get_loop_factory()) as runner:
            runner.run(self._serve(listener, ready))

    async def _serve(self, listener: socket.socket, ready: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        for beside in self._beside:
            await beside.start()
        announcing = asyncio.create_task(self._announce(ready))
        await self._server.serve(sockets=[listener])
        announcing.cancel()

    async def _end(self) -> None:
        """Those who watch revisions would never end by themselves."""
        if self._health is not None:
            self._health.draining = True
        self._service.revisions.close()
        for beside in reversed(self._beside):
            await beside.stop(_DRAIN_SECONDS)

    def _drain(self) -> float:
        """Tell probes that no more questions should come; returns how long they are answered all the same."""
        if self._health is not None:
            self._health.draining = True
        if self._loop is not None:  # this is called by a signal, between two steps of the loop
            self._loop.call_soon_threadsafe(self._drain_beside)
        return self._grace_seconds

    def _drain_beside(self) -> None:
        self._draining = [asyncio.ensure_future(beside.drain()) for beside in self._beside]

    async def _announce(self, ready: Callable[[], None]) -> None:
        while not self._server.started:  # noqa: ASYNC110 - uvicorn sets a flag, not an event
            await asyncio.sleep(0.01)
        if self._health is not None:
            self._health.started = True
        ready()
