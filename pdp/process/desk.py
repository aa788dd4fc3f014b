"""What a worker answers with: the service, its listeners, and the step from one version to the next."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, final

from pdp.adapters.server import Beside
from pdp.adapters.tls import ServerTls
from pdp.config.address import parse_address
from pdp.config.model import Settings
from pdp.limits import MAX_HELD_SECONDS
from pdp.process.answering import make_grpc, make_listener, make_log, make_service, make_verifier
from pdp.process.local import local_of
from pdp.process.messages import Begin
from pdp.process.panel import Panel
from pdp.process.parcel import Believed
from pdp.process.parts import Say, clock, make_health, peers_of
from pdp.process.retune import retune
from pdp.service.key_looks import Look
from pdp.service.metrics import Metrics
from pdp.store.versions import Published, Versions

__all__ = ["Desk"]


@final
class Desk:
    """Everything of one worker but its channel. For one event loop."""

    def __init__(  # noqa: PLR0913 -- all by keyword but five
        self,
        begin: Begin,
        files: tuple[int, int],
        tls: ServerTls | None,
        settings: Settings,
        first: Published,
        *,
        believed: Callable[[], Believed],
        look: Look,
        say: Say,
        held: ExitStack,
    ) -> None:
        """Put the service together; nobody is answered yet.

        Args:
            begin: What the supervisor says of it.
            files: The listening socket, and the shared memory.
            tls: Our certificate and the roots of callers, which others may replace; None without TLS.
            settings: What to serve and how.
            first: What is served first.
            believed: Gives whom to believe now, besides roots.
            look: Looks for newer keys of tokens.
            say: Has something told to whoever runs the service.
            held: Closes what has to be closed.

        Raises:
            CannotStartError: A setting keeps it from serving.
        """
        panel = Panel(files[1], begin.slots)
        counters = panel.counters(begin.slot)
        self._versions = Versions(first, now=clock())
        self._prepared = first
        self._limit: asyncio.TimerHandle | None = None
        log = make_log(settings, begin.digest_key, counters, say, held, lock=panel.file)
        metrics = Metrics(counters, panel.total)
        verifier = make_verifier(settings, tls, lambda: believed().tokens, look, say, metrics)
        self._service: Final = make_service(
            settings, self._versions, log, metrics, verifier, lambda: believed().quarantine
        )
        beside: list[Beside] = []
        if begin.grpc and tls is not None:
            address = parse_address(begin.grpc)
            beside.append(make_grpc(settings, address, tls, self._service, lambda _: None, shared=True))
        health = make_health(settings, self._versions)
        self._socket = held.enter_context(socket.socket(fileno=files[0]))
        peers = peers_of(local_of(settings, self._socket), tls)
        share = panel.share(begin.slot)
        self._listener: Final = make_listener(settings, peers, self._service, health, beside, share)

    async def serve(self, ready: Callable[[], None]) -> None:
        """Answer until a signal ends it; `ready` is called once connections are accepted.

        Raises:
            CannotListenError: The address of gRPC cannot be had.
        """
        await self._listener.serve(self._socket, ready=ready)

    def prepare(self, published: Published) -> None:
        """Have a version ready."""
        self._prepared = published

    async def hold(self) -> None:
        """Answer nothing until told to go on. Without a word for too long the process ends.

        Others may answer with a new version by then, and nobody here would ever know.
        """
        await self._service.gate.close()
        self._limit = asyncio.get_running_loop().call_later(MAX_HELD_SECONDS, os._exit, 1)

    def go(self, confirmed_at: int) -> None:
        """Serve what is ready, and answer."""
        if self._limit is not None:
            self._limit.cancel()
        self._versions.serve(self._prepared, confirmed_at)
        self._service.revisions.ring()
        self._service.gate.open()

    def confirm(self, number: int, confirmed_at: int) -> None:
        """The source confirmed a version, which may be served no more."""
        if number == self._versions.current.number:
            self._versions.confirmed_at = confirmed_at

    def recheck(self) -> None:
        """Whom to believe has changed: see whether those who watch may still. Safe from any thread."""
        self._service.revisions.recheck()

    def retune(self, settings: Settings) -> None:
        """Go on with other settings."""
        retune(settings, self._service, self._listener)

    def count(self) -> None:
        """Let others see what is under way here."""
        self._service.metrics.answering(self._service.admission.in_flight)
