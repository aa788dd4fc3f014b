"""The service in one process: versions are published, and questions answered, by the same one."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from functools import partial

from pdp.adapters.health_listener import HealthListener
from pdp.adapters.server import Beside, CannotListenError
from pdp.adapters.tls import ServerTls
from pdp.config.address import parse_address
from pdp.config.model import Settings
from pdp.counters import Counters
from pdp.identity.bundle import LiveBundles
from pdp.identity.quarantine.lists import QuarantineError
from pdp.identity.trust import TrustStore
from pdp.process.administering import follow_admins, make_admin
from pdp.process.answering import make_grpc, make_listener, make_log, make_service, make_verifier
from pdp.process.believing import Believing
from pdp.process.cannot_start import CannotStartError
from pdp.process.edits import outcome
from pdp.process.hangup import Hangups
from pdp.process.kept import Kept
from pdp.process.local import local_of, require_entry, shown_at
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
from pdp.process.quarantine import QuarantineList
from pdp.process.retune import retune
from pdp.process.workload_api import WorkloadApi
from pdp.service.decision_service import DecisionService
from pdp.service.health import Health
from pdp.service.metrics import Metrics
from pdp.store.bundle import read_bundle
from pdp.store.publish import Event, Publisher
from pdp.store.versions import Versions

__all__ = ["serve_alone"]


def serve_alone(  # noqa: PLR0913 -- all by keyword but three
    settings: Settings,
    trust: TrustStore,
    live: LiveBundles,
    *,
    agent: WorkloadApi | None,
    ready: Callable[[str, Versions], None],
    say: Say,
    edited: Callable[[Event], None],
    hangups: Hangups,
) -> None:
    """Serve until SIGINT or SIGTERM; the arguments are those of `start()`, with what it made.

    Raises:
        CannotStartError: A setting or the policy set keeps the service from starting.
    """
    with ExitStack() as held:
        listener = take_http(settings, held)
        local = local_of(settings, listener)
        if settings.grpc is not None:
            # grpcio binds for itself, and much later: whether it can is found out here.
            take_address(parse_address(settings.grpc.listen), "--grpc HOST:PORT").close()
        tls = make_tls(settings, trust, None if agent is None else agent.credential)
        bundle = read_bundle(settings.policies.path)
        told: list[Callable[[Event], None]] = []
        kept = None if settings.policies.compiled is None else Kept(settings.policies.compiled, say)
        counters = Counters()
        metrics = Metrics(counters)
        believing = Believing(settings, tls, trust, live, agent, metrics=metrics, say=say)
        keys, quarantine = believing.keys, believing.quarantine
        publisher = make_publisher(bundle, believing.circumstances, told=told, kept=kept)
        require_entry(local, publisher)
        for warning in unknown_services(settings, publisher):
            say(warning)
        log = make_log(settings, make_digest_key(settings), counters, say, held)
        verifier = make_verifier(
            settings,
            tls,
            lambda: keys.trust,
            lambda *wanted: asyncio.to_thread(keys.look, *wanted),
            say,
            metrics,
        )
        service = make_service(settings, publisher, log, metrics, verifier, lambda: quarantine.current)
        told += [  # those who wait for the version first, then people
            lambda _: service.revisions.ring(),
            lambda event: service.metrics.reloaded(outcome(event)),
            edited,
        ]
        health = make_health(settings, publisher)
        beside = _beside(
            settings, held, tls, quarantine, publisher=publisher, service=service, health=health, say=say
        )
        server = make_listener(settings, peers_of(local, tls), service, health, beside)
        with suppress(QuarantineError):  # told once it is followed
            # It may have changed while policies were compiled: nobody answers by what it was before.
            quarantine.reread()
        held.enter_context(believing.follow(hand_on=service.revisions.recheck, restate=publisher.restate))
        held.callback(follow_policies(settings.policies.path, bundle, publisher, say).stop)
        where = shown_at(listener, plaintext=local is not None)

        def change(loop: asyncio.AbstractEventLoop, new: Settings) -> None:
            for warning in unknown_services(new, publisher):
                say(warning)
            with suppress(RuntimeError):  # the loop is closed: nobody is answered any more
                loop.call_soon_threadsafe(retune, new, service, server)
                loop.call_soon_threadsafe(retune_health, new, health)

        def begun() -> None:
            hangups.start(partial(change, asyncio.get_running_loop()), service.metrics.settings_read)
            ready(where, publisher)
            if kept is not None:
                kept.follow(publisher)

        try:
            server.run(listener, ready=begun)
        except CannotListenError as error:
            raise CannotStartError(str(error)) from error


def _beside(  # noqa: PLR0913 -- what each of them is made of
    settings: Settings,
    held: ExitStack,
    tls: ServerTls | None,
    quarantine: QuarantineList,
    *,
    publisher: Publisher,
    service: DecisionService,
    health: Health,
    say: Say,
) -> list[Beside]:
    """What listens beside the decision listener; `held` closes it."""

    def taken(address: str, option: str) -> socket.socket:
        return held.enter_context(closing(take_address(parse_address(address), option)))

    beside: list[Beside] = []
    if settings.health is not None:
        beside.append(HealthListener(taken(settings.health.listen, "--health HOST:PORT"), health, say=say))
    if settings.admin is not None and tls is not None:
        listener = taken(settings.admin.listen, "`admin.listen`")
        admin, admins = make_admin(settings, listener, tls, quarantine, publisher, say)
        held.enter_context(follow_admins(settings, admins, service.metrics, say))
        beside.append(admin)
    if settings.grpc is not None and tls is not None:
        beside.append(make_grpc(settings, parse_address(settings.grpc.listen), tls, service, say))
    return beside
