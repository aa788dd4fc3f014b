"""The listener: a socket, TLS and uvicorn, for as long as it is wanted, and what listens beside it.

uvicorn's defaults that would believe or tell too much are off: proxy headers, websockets, the
server header, the access log.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Protocol, final

import uvicorn
from starlette.types import ASGIApp

from pdp.adapters.accepting import Balance
from pdp.adapters.bounded import BoundedProtocol
from pdp.adapters.connection import CallerProtocol, protocol_class
from pdp.adapters.direct import directly
from pdp.adapters.late_app import LateApp
from pdp.adapters.local import Local, local_protocol_class
from pdp.adapters.proxies.profiles import NO_PROFILES, Profile
from pdp.adapters.questions import Questions
from pdp.adapters.tls import ServerTls
from pdp.adapters.uvicorn_server import Server, event_loops
from pdp.limits import DEFAULT_REMEMBERED_ANSWERS, DRAIN_SECONDS
from pdp.service.decision_service import DecisionService
from pdp.service.health import Health
from pdp.service.known_callers import KnownCallers
from pdp.vocabulary import Millis

if TYPE_CHECKING:
    from pdp.adapters.metrics_page import MetricsPage  # imports its library: only where metrics are read

__all__ = ["Beside", "CannotListenError", "Listener"]

_KEEP_ALIVE_SECONDS = 75  # longer than proxies keep idle connections, so that they close first
_RECHECKED_AT_ONCE = 8  # connections: each may cost a verification, half a millisecond


class CannotListenError(Exception):
    """A listener beside ours does not start; the message says where and why."""


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


def _protocol(
    peers: ServerTls | Local, service: DecisionService, clock: Callable[[], Millis]
) -> type[BoundedProtocol]:
    if isinstance(peers, Local):
        return local_protocol_class(peers, service.connection_seconds)
    return protocol_class(KnownCallers(peers.trust, clock), service.connection_seconds)


@final
class Listener:
    """The decision listener: over mTLS, or in plaintext for peers that are known otherwise."""

    def __init__(  # noqa: PLR0913 -- what a listener is made of
        self,
        service: DecisionService,
        *,
        peers: ServerTls | Local,
        clock: Callable[[], Millis],
        beside: Sequence[Beside] = (),
        health: Health | None = None,
        grace_seconds: float = 0,
        metrics: "MetricsPage | None" = None,
        balance: Balance | None = None,
        profiles: Mapping[str, Profile] = NO_PROFILES,
        direct: bool = True,
        remembered: int = DEFAULT_REMEMBERED_ANSWERS,
    ) -> None:
        """A listener that is not started.

        Args:
            service: Who decides.
            peers: How callers are told: over mTLS, by our certificate and roots that may be replaced; or in
                plaintext, by the machine or a sidecar.
            clock: The wall clock.
            beside: Other listeners, started before this one and stopped with it, the first one last.
            health: What is told to probes.
            grace_seconds: How long connections are still accepted after SIGTERM.
            metrics: What `/metrics` shows, and to whom; None for nobody.
            balance: Knows of the other processes that accept on the same socket.
            profiles: How proxies ask that have a protocol of their own.
            direct: Whether questions are answered the short way where they can be.
            remembered: How many answers are remembered at most.
        """
        self._service = service
        self._metrics = metrics
        self._beside = tuple(beside)
        self._health = health
        self._grace_seconds = grace_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: list[asyncio.Future[None]] = []
        self._rechecking: asyncio.Future[None] | None = None
        self._tls = None if isinstance(peers, Local) else peers
        questions = Questions(service, profiles, remembered)
        protocol = _protocol(peers, service, clock)
        self._protocol = directly(protocol, questions) if direct else protocol

        def build() -> ASGIApp:
            from pdp.adapters.app import build_app  # noqa: PLC0415 -- as `pdp.adapters.late_app` says

            return build_app(service, metrics, questions)

        self._app = LateApp(build)
        self._config = uvicorn.Config(
            self._app,
            http=self._protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.ERROR,  # what a peer did wrong is told to the peer
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        self._server = Server(
            self._config,
            context=lambda: None if self._tls is None else self._tls.current.context,
            ending=self._end,
            drain=self._drain,
            balance=balance,
        )

    def change(self, *, connection_seconds: float, grace_seconds: float, readers: frozenset[str]) -> None:
        """Go on with other settings; connections that are open keep the age that they began with."""
        self._protocol.age_seconds = connection_seconds
        self._grace_seconds = grace_seconds
        if self._metrics is not None:
            self._metrics.readers = readers

    def run(self, listener: socket.socket, *, ready: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM; `ready` is called once connections are accepted."""
        with closing(listener), asyncio.Runner(loop_factory=event_loops()) as runner:
            runner.run(self.serve(listener, ready=ready))

    async def serve(self, listener: socket.socket, *, ready: Callable[[], None]) -> None:
        """The same, within an event loop; the socket is left open."""
        self._loop = asyncio.get_running_loop()
        for beside in self._beside:
            await beside.start()
        if self._tls is not None:
            self._tls.on_trust(self._trust_changed)
        announcing = asyncio.create_task(self._announce(ready))
        await self._server.serve(sockets=[listener])
        announcing.cancel()

    async def _end(self) -> None:
        """Those who watch revisions would never end by themselves."""
        if self._health is not None:
            self._health.draining = True
        self._service.revisions.close()
        for beside in reversed(self._beside):
            await beside.stop(DRAIN_SECONDS)

    def _drain(self) -> float:
        """Tell probes that no more questions should come; returns how long they are answered all the same."""
        if self._health is not None:
            self._health.draining = True
        if self._loop is not None:  # this is called by a signal, between two steps of the loop
            self._loop.call_soon_threadsafe(self._drain_beside)
        return self._grace_seconds

    def _drain_beside(self) -> None:
        self._draining = [asyncio.ensure_future(beside.drain()) for beside in self._beside]

    def _trust_changed(self) -> None:
        """Called from another thread: connections without a caller end."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: no connection is open
                self._loop.call_soon_threadsafe(self._recheck)

    def _recheck(self) -> None:
        self._rechecking = asyncio.ensure_future(self._recheck_all())

    async def _recheck_all(self) -> None:
        for number, connection in enumerate(tuple(self._server.server_state.connections)):
            if isinstance(connection, CallerProtocol):
                connection.recheck()
            if number % _RECHECKED_AT_ONCE == 0:
                await asyncio.sleep(0)  # questions go on meanwhile

    async def _announce(self, ready: Callable[[], None]) -> None:
        while not self._server.started:  # noqa: ASYNC110 - uvicorn sets a flag, not an event
            await asyncio.sleep(0.01)
        if self._health is not None:
            self._health.started = True
        ready()
        await self._app.made()  # before anybody asks for it
