"""The parts of a service that answer questions, each made from the settings.

The others are in `pdp.process.parts`. Who puts them together is another's business.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from pdp.adapters.accepting import Balance
from pdp.adapters.local import Local
from pdp.adapters.proxies.profiles import profiles
from pdp.adapters.server import Beside, Listener
from pdp.adapters.tls import ServerTls
from pdp.audit.decision_log import DecisionLog
from pdp.audit.record import Recorder
from pdp.audit.sinks import FileSink, StreamSink
from pdp.config.address import Address
from pdp.config.clusters import reviewers
from pdp.config.model import LogTarget, Settings
from pdp.counters import Counters
from pdp.diagnostics import escape
from pdp.identity.expiry import ends
from pdp.identity.quarantine.lists import Quarantine
from pdp.identity.tokens.issuer import TokenTrust
from pdp.limits import DEFAULT_REMEMBERED_ANSWERS
from pdp.process.parts import Say, clock, no_log
from pdp.service.admission import Admission
from pdp.service.asked_cluster import Reviewing
from pdp.service.decision_service import DecisionService
from pdp.service.evidence import Verifier
from pdp.service.health import Health
from pdp.service.key_looks import KeyLooks, Look
from pdp.service.known_callers import KnownCallers
from pdp.service.known_tokens import KnownTokens
from pdp.service.metrics import Metrics
from pdp.service.reviews import Reviews
from pdp.store.versions import Versions

if TYPE_CHECKING:
    from pdp.adapters.metrics_page import MetricsPage  # imports its library: only where metrics are read

__all__ = [
    "grace_seconds",
    "make_grpc",
    "make_listener",
    "make_log",
    "make_service",
    "make_verifier",
    "plain_headers",
]

_STDOUT: Final = 1


def make_verifier(
    settings: Settings,
    tls: ServerTls | None,
    tokens: Callable[[], TokenTrust],
    look: Look,
    say: Say,
    metrics: Metrics,
) -> Verifier:
    """What looks at evidence.

    Args:
        settings: How proxies write it.
        tls: Has the roots that certificates are verified to; None where there are none.
        tokens: Gives those whose tokens are believed now.
        look: Looks for newer keys of theirs.
        say: Told of clusters that do not review their tokens.
        metrics: Where tokens and reviews are counted.
    """
    reviews = _reviews(settings, say, metrics)
    return Verifier(
        tokens=KnownTokens(tokens, reviews=reviews.find, count=metrics.token_looked_at),
        looks=KeyLooks(look),
        reviews=reviews,
        chains=None if tls is None else KnownCallers(tls.trust, clock),
        clock=clock,
        hops=settings.evidence.xfcc_hops,
        nginx=settings.evidence.nginx,
    )


def _reviews(settings: Settings, say: Say, metrics: Metrics) -> Reviews:
    lifetimes = {name: each.review_seconds * 1000 for name, each in settings.clusters.items()}
    clusters = {name: Reviewing(ask, lifetimes[name]) for name, ask in reviewers(settings.clusters).items()}
    return Reviews(clusters, clock=clock, say=say, count=metrics.reviewed)


def make_service(
    settings: Settings,
    versions: Versions,
    log: DecisionLog | None,
    metrics: Metrics,
    verifier: Verifier,
    quarantine: Callable[[], Quarantine],
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
        verifier=verifier,
        quarantine=quarantine,
    )


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
        profiles=profiles(settings.proxies, settings.evidence.nginx),
        direct=settings.http.direct,
        remembered=settings.http.remembered_answers,
    )


def _metrics(settings: Settings, peers: ServerTls | Local, service: DecisionService) -> "MetricsPage | None":
    if isinstance(peers, Local):
        return None
    from pdp.adapters.metrics_page import MetricsPage  # noqa: PLC0415 -- its library, as above

    return MetricsPage(
        service,
        readers=settings.metrics.readers,
        expiries=lambda: ends(peers.current.credential.chain, peers.trust()),
    )


def make_grpc(
    settings: Settings,
    address: Address,
    tls: ServerTls,
    service: DecisionService,
    say: Say,
    *,
    shared: bool = False,
) -> Beside:
    """The gRPC listener, which may share its address with other processes of ours.

    Its library takes a while to import: only here, and settled first.
    """
    from pdp.adapters.grpc.environment import settle  # noqa: PLC0415

    settle()
    from pdp.adapters.grpc.server import GrpcListener  # noqa: PLC0415

    return GrpcListener(
        service,
        address=address,
        tls=tls,
        clock=clock,
        say=say,
        shared=shared,
        profiles=profiles(settings.proxies, settings.evidence.nginx),
        remembered=DEFAULT_REMEMBERED_ANSWERS if settings.grpc is None else settings.grpc.remembered_answers,
    )


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
        raise no_log(error) from error
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
