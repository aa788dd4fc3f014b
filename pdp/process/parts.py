"""The parts of a service, each made from the settings. Who puts them together is another's business.

What the settings are and where they come from is the business of `pdp.config`.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import Final, TypeAlias

from pdp.adapters.accepting import Balance
from pdp.adapters.local import Local
from pdp.adapters.metrics_page import MetricsPage
from pdp.adapters.server import AddressInUseError, Beside, Listener, bind
from pdp.adapters.tls import ServerCredentialError, ServerTls, read_credential
from pdp.audit.decision_log import DecisionLog
from pdp.audit.record import Recorder
from pdp.audit.sinks import FileSink, StreamSink
from pdp.config.address import Address
from pdp.config.model import LogTarget, Settings
from pdp.config.unix import UnixAddress
from pdp.counters import Counters
from pdp.diagnostics import escape
from pdp.identity.expiry import ends
from pdp.identity.trust import TrustStore
from pdp.process.cannot_start import AddressTakenError, CannotStartError
from pdp.process.local import bind_unix
from pdp.service.admission import Admission
from pdp.service.decision_service import DecisionService
from pdp.service.health import Health
from pdp.service.metrics import Metrics
from pdp.store.versions import Versions
from pdp.vocabulary import Millis

__all__ = [
    "Say", "clock", "grace_seconds", "make_digest_key", "make_grpc", "make_health", "make_listener",
    "make_log", "make_service", "make_tls", "max_staleness_ms", "peers_of", "plain_headers", "take_address",
    "take_http",
]  # fmt: skip

#: Gets what is to be told to whoever runs the service, a paragraph at a time, from any thread.
Say: TypeAlias = Callable[[str], None]

_DIGEST_KEY_BYTES: Final = 32
_STDOUT: Final = 1


def clock() -> Millis:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def take_address(address: Address, option: str) -> socket.socket:
    """Bind an address that an option gives.

    Raises:
        CannotStartError: It is taken, or not to be had.
    """
    try:
        return bind(address.host, address.port)
    except AddressInUseError as error:
        msg = f"{address} is taken; choose another address with {option} HOST:PORT"
        raise AddressTakenError(msg) from error
    except OSError as error:
        msg = f"cannot listen on {address}: {error.strerror}"
        raise CannotStartError(msg) from error


def take_http(settings: Settings, held: ExitStack) -> socket.socket:
    """The socket on which decisions are answered over HTTP; `held` closes it.

    Raises:
        CannotStartError: It is taken, or not to be had.
    """
    where = settings.http.where
    if isinstance(where, UnixAddress):
        return bind_unix(where, held)
    return held.enter_context(closing(take_address(where, "--http")))


def make_tls(settings: Settings, trust: TrustStore) -> ServerTls | None:
    """Our certificate, and the roots of callers; None where nothing listens over TLS.

    Raises:
        CannotStartError: Certificate and key cannot be used.
    """
    if settings.http.certificate is None:
        return None
    try:
        return ServerTls(read_credential(*settings.http.credentials), trust)
    except ServerCredentialError as error:
        raise CannotStartError(str(error)) from error


def peers_of(local: Local | None, tls: ServerTls | None) -> ServerTls | Local:
    """How callers of the decision listener are told.

    Raises:
        CannotStartError: There is no way.
    """
    peers = local or tls
    if peers is None:
        raise CannotStartError("without a certificate and its key there is no mTLS")
    return peers


def make_service(
    settings: Settings, versions: Versions, log: DecisionLog | None, metrics: Metrics
) -> DecisionService:
    """The service over what is served."""
    admission = Admission(
        in_flight=settings.limits.in_flight,
        per_second=settings.limits.per_caller_per_second,
        clock=time.monotonic,
        shed=metrics.question_shed,
    )
    return DecisionService(
        versions,
        clock=clock,
        max_age_ms=settings.limits.max_age_ms,
        metrics=metrics,
        admission=admission,
        log=log,
        connection_seconds=settings.limits.connection_seconds,
        freshness=settings.freshness.limits(),
    )


def make_health(settings: Settings, versions: Versions) -> Health:
    """The health of a service."""
    return Health(versions, clock=clock, max_staleness_ms=max_staleness_ms(settings))


def max_staleness_ms(settings: Settings) -> Millis | None:
    """Beyond what age a version is no longer said to be fresh."""
    stale = round(settings.health.max_staleness_seconds * 1000) if settings.health is not None else 0
    return stale or None


def grace_seconds(settings: Settings) -> float:
    """How long connections are still accepted once the service was told to end."""
    # Without a listener for probes nobody learns that it is ending, so nobody is waited for.
    return settings.drain.grace_seconds if settings.health is not None else 0


def plain_headers(settings: Settings) -> frozenset[str]:
    """Attributes that stand in the log as they are."""
    return frozenset(f"header.{name}" for name in settings.decision_log.plain_headers)


def make_listener(
    settings: Settings,
    peers: ServerTls | Local,
    service: DecisionService,
    health: Health,
    beside: Sequence[Beside],
    balance: Balance | None = None,
) -> Listener:
    """The decision listener, with what listens beside it."""
    return Listener(
        service,
        peers=peers,
        clock=clock,
        beside=beside,
        health=health,
        metrics=_metrics(settings, peers, service),
        grace_seconds=grace_seconds(settings),
        balance=balance,
    )


def _metrics(settings: Settings, peers: ServerTls | Local, service: DecisionService) -> MetricsPage | None:
    if isinstance(peers, Local):
        return None
    return MetricsPage(
        service,
        readers=settings.metrics.readers,
        expiries=lambda: ends(peers.current.credential.chain, peers.trust()),
    )


def make_grpc(
    address: Address, tls: ServerTls, service: DecisionService, say: Say, *, shared: bool = False
) -> Beside:
    """The gRPC listener, which may share its address with other processes of ours.

    Its library takes a while to import: only here, and settled first.
    """
    from pdp.adapters.grpc.environment import settle  # noqa: PLC0415

    settle()
    from pdp.adapters.grpc.server import GrpcListener  # noqa: PLC0415

    return GrpcListener(service, address=address, tls=tls, clock=clock, say=say, shared=shared)


def make_digest_key(settings: Settings) -> bytes:
    """With what the decision log's digests are keyed.

    Raises:
        CannotStartError: The file that holds it cannot be read.
    """
    file = settings.decision_log.digest_key
    if file is None:
        return os.urandom(_DIGEST_KEY_BYTES)
    try:
        return file.read_bytes()
    except OSError as error:
        raise _no_log(error) from error


def make_log(
    settings: Settings, key: bytes, counters: Counters, say: Say, held: ExitStack, *, lock: int | None = None
) -> DecisionLog | None:
    """The decision log, if there is to be one; `held` closes it, and `lock` is a file that writers share.

    Raises:
        CannotStartError: It cannot be opened.
    """
    log = settings.decision_log
    target = log.target
    if target is LogTarget.NONE:
        return None
    try:
        sink = (
            StreamSink(_STDOUT, lock=lock)
            if isinstance(target, LogTarget)
            else FileSink(target, max_bytes=log.max_bytes, keep=log.keep)
        )
    except OSError as error:
        raise _no_log(error) from error
    found = DecisionLog(
        sink,
        Recorder(key[:64], plain=plain_headers(settings)),
        mode=log.mode,
        one_in=log.one_in,
        alarm=lambda text: say(escape(text)),
        counters=counters,
    )
    held.callback(found.close)
    return found


def _no_log(error: OSError) -> CannotStartError:
    return CannotStartError(f"the decision log cannot be opened: {error.filename}: {error.strerror}")
