"""The service in several processes: one reads and publishes policies, the others answer.

The supervisor takes the addresses, answers probes and keeps the workers; it answers no question.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from typing import Final, final

from pdp.adapters.admin_listener import AdminListener
from pdp.adapters.binding import bind
from pdp.adapters.health_listener import HealthListener
from pdp.config.address import Address, parse_address
from pdp.config.model import Settings
from pdp.diagnostics import escape
from pdp.identity.bundle import LiveBundles
from pdp.identity.quarantine.lists import QuarantineError
from pdp.identity.trust import TrustStore
from pdp.image.reader import Image
from pdp.limits import DRAIN_SECONDS, WORKER_BEAT_SECONDS
from pdp.process.administering import follow_admins, make_admin
from pdp.process.believing import Believing
from pdp.process.cannot_start import CannotStartError
from pdp.process.colleague import Colleague, start
from pdp.process.edits import outcome
from pdp.process.forks import Forks
from pdp.process.hangup import Hangups
from pdp.process.heap import give_back
from pdp.process.images import ImageShelf, Parcel
from pdp.process.kept import Kept
from pdp.process.local import local_of, require_entry, shown_at
from pdp.process.messages import Begin, Look
from pdp.process.panel import Panel
from pdp.process.parcel import pack_settings, pack_trust
from pdp.process.parts import (
    Say,
    make_digest_key,
    make_health,
    make_tls,
    peers_of,
    retune_health,
    take_address,
    take_http,
)
from pdp.process.policies import follow_policies, make_publisher, unknown_services
from pdp.process.workers import Version, Workers
from pdp.process.workload_api import WorkloadApi
from pdp.service.metrics import Metrics
from pdp.store.bundle import PolicyBundle, read_bundle
from pdp.store.publish import Event
from pdp.store.snapshot import Snapshot
from pdp.store.versions import Published, Versions

__all__ = ["serve_together"]

_SPARE_SECONDS: Final = 5.0  # for a worker that ends, beyond all that it waits for
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def serve_together(  # noqa: PLR0913 -- all by keyword but three
    settings: Settings,
    trust: TrustStore,
    live: LiveBundles,
    *,
    agent: WorkloadApi | None,
    forks: Forks,
    ready: Callable[[str, Versions], None],
    say: Say,
    edited: Callable[[Event], None],
    hangups: Hangups,
) -> None:
    """Serve until SIGINT or SIGTERM; the arguments are those of `start()`, with what it made.

    Raises:
        CannotStartError: A setting or the policy set keeps the service from starting.
    """
    with ExitStack() as held, asyncio.Runner() as runner:
        supervisor = _Supervisor(
            settings,
            trust,
            live,
            held,
            agent=agent,
            forks=forks,
            ready=ready,
            say=say,
            edited=edited,
            hangups=hangups,
        )
        runner.run(supervisor.run())


@final
class _Supervisor:
    def __init__(  # noqa: PLR0913 -- all by keyword but four
        self,
        settings: Settings,
        trust: TrustStore,
        live: LiveBundles,
        held: ExitStack,
        *,
        agent: WorkloadApi | None,
        forks: Forks,
        ready: Callable[[str, Versions], None],
        say: Say,
        edited: Callable[[Event], None],
        hangups: Hangups,
    ) -> None:
        self._settings, self._held, self._ready, self._say = settings, held, ready, say
        self._hangups = hangups
        self._forks = forks
        self._listener = take_http(settings, held)
        self._local = local_of(settings, self._listener)
        self._probes = (
            None if settings.health is None else self._take(settings.health.listen, "--health HOST:PORT")
        )
        self._grpc = None if settings.grpc is None else self._reserve(settings.grpc.listen)
        self._digest_key = make_digest_key(settings)
        # It answers nobody: its files are followed, and told of.
        self._tls = make_tls(settings, trust, None if agent is None else agent.credential)
        peers_of(self._local, self._tls)
        self._panel = Panel.make(settings.process.workers + 1)
        self._metrics = Metrics(self._panel.counters(settings.process.workers))
        self._believing = Believing(settings, self._tls, trust, live, agent, metrics=self._metrics, say=say)
        self._bundle = read_bundle(settings.policies.path)
        compiled = settings.policies.compiled
        self._kept = None if compiled is None else Kept(compiled, say)
        self._publisher = make_publisher(
            self._bundle,
            self._believing.circumstances,
            told=[lambda event: self._metrics.reloaded(outcome(event)), edited],
            change_over=self._change_over,
            kept=self._kept,
        )
        require_entry(self._local, self._publisher)
        for warning in unknown_services(settings, self._publisher):
            say(warning)
        self._health = make_health(settings, self._publisher)
        self._admin = self._make_admin()
        self._signal = signal.SIGTERM
        self._announced = False
        self._trouble = ""
        self._images = ImageShelf()
        self._holds_freed = False

    def _make_admin(self) -> AdminListener | None:
        admin = self._settings.admin
        if admin is None or self._tls is None:
            return None
        listener, trust = make_admin(
            self._settings,
            self._take(admin.listen, "`admin.listen`"),
            self._tls,
            self._believing.quarantine,
            self._publisher,
            self._say,
        )
        self._held.enter_context(follow_admins(self._settings, trust, self._metrics, self._say))
        return listener

    def _take(self, address: str, option: str) -> socket.socket:
        return self._held.enter_context(closing(take_address(parse_address(address), option)))

    def _reserve(self, address: str) -> socket.socket:
        """Keep an address for workers that bind it themselves; nothing is accepted on it here."""
        host, port = parse_address(address)
        # Not by somebody else, who would get a share.
        taken = take_address(Address(host, port), "--grpc HOST:PORT")
        host, port = taken.getsockname()[:2]
        taken.close()
        return self._held.enter_context(closing(bind(host, port, shared=True)))

    # -- the life of it ------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until told to end.

        Raises:
            CannotStartError: A worker says why it cannot serve.
        """
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        for number in _SIGNALS:
            self._loop.add_signal_handler(number, self._told_to_end, number)
        self._workers = Workers(
            self._settings.process.workers,
            Version.of(self._publisher.current, self._first_parcel()),
            self._panel,
            begin=self._begin,
            say=self._say,
            changed=self._changed,
            failed=self._failed,
        )
        probes = None if self._probes is None else HealthListener(self._probes, self._health, say=self._say)
        if probes is not None:
            await probes.start()
        with suppress(QuarantineError):  # told once it is followed
            # It may have changed while policies were compiled: nobody answers by what it was before.
            await asyncio.to_thread(self._believing.quarantine.reread)
        self._workers.start()
        confirming = asyncio.create_task(self._confirm())
        following = await asyncio.to_thread(self._follow)
        if self._admin is not None:
            await self._admin.start()
        self._hangups.start(self._change, self._metrics.settings_read)
        await self._ending.wait()
        self._forks.stop()
        await self._workers.end(
            self._signal, self._settings.drain.grace_seconds + DRAIN_SECONDS + _SPARE_SECONDS
        )
        # A thread may wait for the workers to change over: now that there are none it waits no more.
        await asyncio.to_thread(following.close)
        confirming.cancel()
        if self._admin is not None:
            await self._admin.stop(0)
        if probes is not None:
            await probes.stop(0)
        if self._trouble:
            raise CannotStartError(self._trouble)

    def _first_parcel(self) -> Parcel:
        """The first version: as it was kept, or written now."""
        kept = None if self._kept is None else self._kept.parcel()
        if kept is not None:
            return kept
        parcel = self._images.pack(self._publisher.current.snapshot)
        image = self._read(parcel)
        if image is not None:
            self._publisher.rest_on(image)
        return parcel

    def _prepared(self, snapshot: Snapshot) -> Image | None:
        """Write what edits go on from, so that an edit hands over what it touched."""
        with closing(self._images.pack(snapshot)) as parcel:
            return self._read(parcel)

    def _read(self, parcel: Parcel) -> Image | None:
        """What was packed, to go on from: this process need not hold what all can share.

        None where that cannot be: it goes on from what it has compiled.
        """
        self._holds_freed = True
        try:
            return self._images.read(parcel)
        except Exception as error:  # noqa: BLE001 - workers serve it by now, and this process can do without
            trouble = escape(f"{type(error).__name__}: {error}")
            self._say(f"the compiled policies are held twice, for their image cannot be read here: {trouble}")
            return None

    def _follow(self) -> ExitStack:
        """Publish what changes, until what is returned is closed."""
        following = ExitStack()
        following.enter_context(self._believing.follow(hand_on=self._renew, restate=self._publisher.restate))
        path = self._settings.policies.path
        following.callback(follow_policies(path, self._bundle, self._publisher, self._say).stop)
        if self._kept is not None:
            self._kept.follow(self._publisher, self._prepared)
        return following

    async def _confirm(self) -> None:
        while True:
            await asyncio.sleep(WORKER_BEAT_SECONDS)
            if self._holds_freed:  # a moment later: who published it holds nothing of it any more
                self._holds_freed = False
                await asyncio.to_thread(give_back)
            published = self._publisher.current
            self._workers.confirm(published.number, published.confirmed.at)

    def _change(self, settings: Settings) -> None:
        """Have other settings hold; called from the thread that reads them."""
        for warning in unknown_services(settings, self._publisher):
            self._say(warning)
        with suppress(RuntimeError):  # the loop is closed: nobody is answered any more
            self._loop.call_soon_threadsafe(self._retune, settings)

    def _retune(self, settings: Settings) -> None:
        self._settings = settings  # for workers that are begun from now on, and for the end
        retune_health(settings, self._health)
        parcel = pack_settings(settings)
        self._workers.retune(parcel)
        os.close(parcel)

    def _told_to_end(self, number: signal.Signals) -> None:
        if self._ending.is_set():
            self._workers.hurry(signal.SIGINT)
            return
        self._health.draining = True
        self._signal = number
        self._ending.set()

    # -- workers -------------------------------------------------------------------------

    async def _begin(self, slot: int) -> Colleague:
        """Begin the worker of a slot.

        Raises:
            OSError: There can be no other process.
        """
        worker = await start(slot, self._forks, self._say, self._look)
        # INVARIANT: nothing is awaited from here on: what changes later is told to it as to all others.
        message = Begin(
            slot=slot,
            slots=self._settings.process.workers + 1,
            grpc="" if self._grpc is None else self._address(self._grpc),
            digest_key=self._digest_key,
        )
        parcels = [self._pack_trust(), pack_settings(self._settings)]
        worker.tell(message, [self._listener.fileno(), self._panel.file, *parcels])
        for parcel in parcels:
            os.close(parcel)
        return worker

    def _changed(self, serving: int) -> None:
        """So many workers accept connections now."""
        self._health.started = serving > 0
        if serving < self._settings.process.workers or self._announced:
            return
        self._announced = True
        if self._grpc is not None:
            self._say(f"answering gRPC on {self._address(self._grpc)}")
        self._ready(shown_at(self._listener, plaintext=self._local is not None), self._publisher)

    def _failed(self, trouble: str) -> None:
        """A worker cannot serve what is served. At first that is the end: nobody would ever answer."""
        if self._announced:
            self._say(trouble)
        elif not self._ending.is_set():
            self._trouble = trouble
            self._ending.set()

    def _change_over(self, published: Published, bundle: PolicyBundle | None) -> Image | None:
        """Have all workers serve a version; called from the thread that publishes.

        Raises:
            CannotChangeOverError: One cannot load it; nothing has changed.
        """
        # Without a bundle the policies are those that are served.
        if bundle is None:
            parcel = self._workers.version.parcel.again()
        else:
            parcel = self._images.pack(published.snapshot)
        version = Version.of(published, parcel)
        try:
            asyncio.run_coroutine_threadsafe(self._workers.change_over(version), self._loop).result()
        except BaseException:
            parcel.close()
            raise
        return None if bundle is None else self._read(parcel)

    def _renew(self) -> None:
        """Have all workers go on with our certificates; called from the threads that follow their files."""
        renewing = self._workers.renew(self._pack_trust)
        asyncio.run_coroutine_threadsafe(renewing, self._loop).result()

    async def _look(self, wanted: Look) -> None:
        """Look for keys that a worker does not know."""
        await asyncio.to_thread(self._believing.keys.look, wanted.profile, wanted.name, wanted.key_id)

    def _pack_trust(self) -> int:
        return pack_trust(self._tls, self._believing.believed)

    @staticmethod
    def _address(taken: socket.socket) -> str:
        return str(Address(*taken.getsockname()[:2]))
