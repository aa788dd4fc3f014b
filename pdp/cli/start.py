"""The service put together from its settings, and run until it is told to end.

What the settings are and where they come from is the business of `pdp.config`, which options there
are that of `pdp.cli.serve`.
"""

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from pdp.adapters.health_listener import HealthListener
from pdp.adapters.local import Local
from pdp.adapters.metrics_page import MetricsPage
from pdp.adapters.server import AddressInUseError, Beside, CannotListenError, Listener, bind
from pdp.adapters.tls import ServerCredentialError
from pdp.audit.decision_log import DecisionLog
from pdp.audit.record import Recorder
from pdp.audit.sinks import FileSink, StreamSink
from pdp.cli.cannot_start import AddressTakenError, CannotStartError
from pdp.cli.edits import describe, outcome, shown
from pdp.cli.start_local import bind_unix, local_of, require_entry, shown_at
from pdp.config.model import Address, GrpcSettings, LogTarget, Settings, parse_address
from pdp.config.unix import UnixAddress
from pdp.diagnostics import Severity, escape
from pdp.identity.expiry import ends
from pdp.identity.trust import TrustStore
from pdp.service.admission import Admission
from pdp.service.decision_service import DecisionService
from pdp.service.health import Health
from pdp.service.metrics import Metrics
from pdp.store.bundle import PolicyBundle, read_bundle
from pdp.store.publish import Event, Publisher
from pdp.store.snapshot import Loader
from pdp.store.watch import DirectoryWatcher
from pdp.vocabulary import Millis

__all__ = ["AddressTakenError", "CannotStartError", "clock", "start"]

_DIGEST_KEY_BYTES: Final = 32
_STDOUT: Final = 1
_Say = Callable[[str], None]


def clock() -> Millis:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def start(
    settings: Settings,
    trust: TrustStore,
    *,
    ready: Callable[[str, Publisher], None],
    say: _Say,
    edited: Callable[[Event], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: What to serve and how.
        trust: The roots that callers are verified to.
        ready: Called once connections are accepted, with where: a URL, or `unix:` and a path.
        say: Gets what is to be told, a paragraph at a time.
        edited: Is told of saved edits; else `say` gets a paragraph about each.

    Raises:
        CannotStartError: A setting or the policy set keeps the service from starting.
    """
    with ExitStack() as held:
        listener = _bind_http(settings, held)
        local = local_of(settings, listener)
        if settings.grpc is not None:
            # grpcio binds for itself, and much later: whether it can is found out here.
            _bind(parse_address(settings.grpc.listen), "--grpc").close()
        bundle = read_bundle(settings.policies.path)
        publisher, told = _publisher(bundle, trust)
        require_entry(local, publisher)
        service = _service(settings, publisher, _decision_log(settings, say, held))
        told += [  # those who wait for the version first, then people
            lambda _: service.revisions.ring(),
            lambda event: service.metrics.reloaded(outcome(event)),
            edited or (lambda event: say(describe(event))),
        ]
        stale = round(settings.health.max_staleness_seconds * 1000) if settings.health is not None else 0
        health = Health(publisher, clock=clock, max_staleness_ms=stale or None)
        server = _listener(
            settings, trust, service, health, _beside(settings, trust, service, health, say, held), local
        )
        held.callback(_watch(settings.policies.path, bundle, publisher, say).stop)
        where = shown_at(listener, plaintext=local is not None)
        try:
            server.run(listener, ready=lambda: ready(where, publisher))
        except CannotListenError as error:
            raise CannotStartError(str(error)) from error


def _service(settings: Settings, publisher: Publisher, log: DecisionLog | None) -> DecisionService:
    metrics = Metrics()
    admission = Admission(
        in_flight=settings.limits.in_flight,
        per_second=settings.limits.per_caller_per_second,
        clock=time.monotonic,
        shed=metrics.question_shed,
    )
    return DecisionService(
        publisher,
        clock=clock,
        max_age_ms=settings.limits.max_age_ms,
        metrics=metrics,
        admission=admission,
        log=log,
    )


def _bind_http(settings: Settings, held: ExitStack) -> socket.socket:
    where = settings.http.where
    if isinstance(where, UnixAddress):
        return bind_unix(where, held)
    return held.enter_context(closing(_bind(where, "--http")))


def _bind(address: Address, option: str) -> socket.socket:
    try:
        return bind(address.host, address.port)
    except AddressInUseError as error:
        msg = f"{address} is taken; choose another address with {option} HOST:PORT"
        raise AddressTakenError(msg) from error
    except OSError as error:
        msg = f"cannot listen on {address}: {error.strerror}"
        raise CannotStartError(msg) from error


# -- policies ------------------------------------------------------------------------------


def _publisher(bundle: PolicyBundle, trust: TrustStore) -> tuple[Publisher, list[Callable[[Event], None]]]:
    """The publisher of a set without errors, and whom it tells of each event."""
    loader = Loader(circumstances=trust.digest)
    loaded = loader.load(bundle, now=clock())
    if loaded.snapshot is None:
        wrong = shown(loaded, Severity.ERROR)
        raise CannotStartError(f"{wrong}the policy set has errors, and there is no last good one")
    told: list[Callable[[Event], None]] = []

    def tell(event: Event) -> None:
        for each in told:
            each(event)

    return Publisher(loader, loaded.snapshot, on_event=tell, now=clock()), told


def _watch(root: Path, baseline: PolicyBundle, publisher: Publisher, say: _Say) -> DirectoryWatcher:
    def offer(bundle: PolicyBundle) -> None:
        try:
            publisher.offer(bundle, clock())
        except Exception as error:  # noqa: BLE001 - a defect of ours must not be taken for silence
            serving = publisher.current.snapshot.revision
            trouble = escape(f"{type(error).__name__}: {error}")
            say(f"the new version could not be read, by a defect of pdp: {trouble}\nstill serving {serving}")

    watcher = DirectoryWatcher(
        root,
        offer,
        on_error=lambda error: say(f"watching {root}: {escape(str(error))}"),
        on_confirmed=lambda: publisher.confirm(clock()),
        baseline=baseline,
    )
    watcher.start()
    return watcher


# -- listeners and the log -----------------------------------------------------------------


def _listener(
    settings: Settings,
    trust: TrustStore,
    service: DecisionService,
    health: Health,
    beside: list[Beside],
    local: Local | None,
) -> Listener:
    try:
        return Listener(
            service,
            certificate=settings.http.certificate,
            key=settings.http.key,
            trust=trust,
            clock=clock,
            local=local,
            beside=beside,
            health=health,
            # Without a listener for probes nobody learns that it is ending, so nobody is waited for.
            metrics=_metrics(settings, trust, service),
            grace_seconds=settings.drain.grace_seconds if settings.health is not None else 0,
        )
    except ServerCredentialError as error:
        raise CannotStartError(str(error)) from error


def _metrics(settings: Settings, trust: TrustStore, service: DecisionService) -> MetricsPage | None:
    if not settings.metrics.readers or settings.http.plaintext:
        return None
    certificate = settings.http.credentials.certificate
    return MetricsPage(
        service,
        readers=settings.metrics.readers,
        expiries=lambda: ends(certificate, trust),
    )


def _beside(
    settings: Settings,
    trust: TrustStore,
    service: DecisionService,
    health: Health,
    say: _Say,
    held: ExitStack,
) -> list[Beside]:
    """The other listeners, each with a line about where it listens."""
    found: list[Beside] = []
    if settings.health is not None:
        listener = held.enter_context(closing(_bind(parse_address(settings.health.listen), "--health")))
        found.append(HealthListener(listener, health, say=say))
    if settings.grpc is not None:
        found.append(_grpc(settings, settings.grpc, trust, service, say))
    return found


def _grpc(
    settings: Settings, grpc: GrpcSettings, trust: TrustStore, service: DecisionService, say: _Say
) -> Beside:
    """The gRPC listener. Its library takes a while to import: only here, and settled first."""
    from pdp.adapters.grpc.environment import settle  # noqa: PLC0415

    settle()
    from pdp.adapters.grpc.server import GrpcListener  # noqa: PLC0415

    try:
        return GrpcListener(
            service,
            address=parse_address(grpc.listen),
            certificate=settings.http.credentials.certificate,
            key=settings.http.credentials.key,
            trust=trust,
            clock=clock,
            say=say,
        )
    except ServerCredentialError as error:
        raise CannotStartError(str(error)) from error


def _decision_log(settings: Settings, say: _Say, held: ExitStack) -> DecisionLog | None:
    log = settings.decision_log
    target = log.target
    if target is LogTarget.NONE:
        return None
    try:
        sink = (
            StreamSink(_STDOUT)
            if isinstance(target, LogTarget)
            else FileSink(target, max_bytes=log.max_bytes, keep=log.keep)
        )
        key = os.urandom(_DIGEST_KEY_BYTES) if log.digest_key is None else log.digest_key.read_bytes()
    except OSError as error:
        msg = f"the decision log cannot be opened: {error.filename}: {error.strerror}"
        raise CannotStartError(msg) from error
    plain = frozenset(f"header.{name}" for name in log.plain_headers)
    recorder = Recorder(key[:64], plain=plain)
    found = DecisionLog(
        sink, recorder, mode=log.mode, one_in=log.one_in, alarm=lambda text: say(escape(text))
    )
    held.callback(found.close)
    return found
