"""Bundles of other trust domains, kept as their endpoints have them while the service runs.

One process does this for all that answer: it asks each endpoint when that is due, and delivers what it tells
(`pdp.identity.bundle`). When that is, and what is taken, is the business of `pdp.identity.federation`.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final, final

from pdp.adapters.tls import ServerTls
from pdp.config.federation import FederationSettings, followed_bundle
from pdp.diagnostics import escape
from pdp.identity.bundle import LiveBundles, SpiffeBundle, with_live
from pdp.identity.federation.followed import FollowedBundle
from pdp.identity.trust import TrustStore
from pdp.limits import BUNDLE_CHANGE_SECONDS, MAX_BUNDLE_CHANGES, MAX_BUNDLE_DOUBTS
from pdp.process.cannot_start import CannotStartError
from pdp.process.parts import Say
from pdp.service.metrics import Metrics

__all__ = ["Federation"]

_LOOK_SECONDS: Final = 1.0  # between two looks at whether an endpoint is due
_AGAIN_SECONDS: Final = 60.0  # until another trouble is told, where there was one already
_WHAT: Final = "federation"


@final
class Federation:
    """Trust domains that endpoints tell of. May be used by several threads."""

    def __init__(
        self,
        settings: Mapping[str, FederationSettings],
        tls: ServerTls | None,
        trust: TrustStore,
        live: LiveBundles,
        *,
        metrics: Metrics,
        say: Say,
    ) -> None:
        """Nothing is fetched yet.

        Args:
            settings: What is said of each trust domain, by its name.
            tls: Has the roots in force, if callers come over TLS.
            trust: The roots at the start, if they do not.
            live: Where bundles are delivered.
            metrics: Where it is counted.
            say: Told of what changes, and of what is wrong.

        Raises:
            CannotStartError: A file that the settings name cannot be used.
        """

        def in_force() -> TrustStore:
            return with_live(trust, live) if tls is None else tls.trust()

        try:
            self._followed = [followed_bundle(name, given, in_force) for name, given in settings.items()]
        except (ValueError, OSError) as error:
            raise CannotStartError(f"`federation`: {error}") from error
        self._live, self._metrics, self._say = live, metrics, say
        self._lock = threading.Lock()
        self._failing: set[str] = set()
        self._stop = threading.Event()

    def follow(self) -> ExitStack:
        """Keep the bundles as their endpoints have them, until what is returned is closed."""
        following = ExitStack()
        for each in self._followed:
            threading.Thread(target=self._keep, args=(each,), name="bundle-fetch", daemon=True).start()
        following.callback(self._stop.set)
        return following

    def _keep(self, followed: FollowedBundle) -> None:
        """Ask an endpoint whenever it is due, deliver what it tells, and say what keeps it from that."""
        delivered: SpiffeBundle | None = None
        told, again = "", 0.0
        changes = _Changes()
        doubts, doubted = set[str](), 0.0
        while not self._stop.is_set():
            try:
                followed.look()
                if changes.may_follow():
                    before, delivered = delivered, self._deliver(followed, delivered)
                    changes.count(delivered is not before)
                problem = followed.problem
            except Exception as error:  # noqa: BLE001 -- one that ends leaves revoked roots in force for ever
                if self._stop.is_set():
                    return
                problem = f"a defect of pdp: {type(error).__name__}: {error}"
            # What fails now in this way and now in that is told now and then.
            if problem != told and (not problem or not told or time.monotonic() >= again):
                self._tell(followed.trust_domain, problem)
                told, again = problem, time.monotonic() + _AGAIN_SECONDS
            new = [doubt for doubt in followed.doubts if doubt not in doubts]
            if new and time.monotonic() >= doubted:
                self._tell_doubts(followed.trust_domain, new)
                doubts, doubted = set(followed.doubts), time.monotonic() + _AGAIN_SECONDS
            self._stop.wait(_LOOK_SECONDS)

    def _tell_doubts(self, trust_domain: str, doubts: list[str]) -> None:
        """Some of them: a publisher writes them, and as many as it likes."""
        name = escape(trust_domain)
        for doubt in doubts[:MAX_BUNDLE_DOUBTS]:
            self._say(f"warning: {name}: {escape(doubt)}")
        more = len(doubts) - MAX_BUNDLE_DOUBTS
        if more > 0:
            self._say(f"warning: {name}: and {more} more of that kind")

    def _deliver(self, followed: FollowedBundle, delivered: SpiffeBundle | None) -> SpiffeBundle | None:
        """Put the bundle in force, here and with all others; what was delivered is handed back."""
        bundle = followed.in_force()
        if bundle is None or bundle == delivered:
            return delivered
        self._live.put([bundle])  # what fails is tried again: nothing is taken for delivered before
        with self._lock:
            self._metrics.renewed(_WHAT)
        return bundle

    def _tell(self, trust_domain: str, problem: str) -> None:
        name = escape(trust_domain)
        with self._lock:
            if problem:
                self._failing.add(trust_domain)
                self._metrics.renewal_refused(_WHAT, refused=True)
            else:
                self._failing.discard(trust_domain)
                if not self._failing:
                    self._metrics.renewal_refused(_WHAT, refused=False)
        self._say(
            f"the bundle of {name} is not as its endpoint has it: {escape(problem)}"
            if problem
            else f"the bundle of {name} is as its endpoint has it again"
        )


@final
class _Changes:
    """How often one endpoint may change whom we believe: some times at once, then now and then."""

    def __init__(self) -> None:
        self._left, self._at = float(MAX_BUNDLE_CHANGES), time.monotonic()

    def may_follow(self) -> bool:
        now = time.monotonic()
        gained = (now - self._at) / BUNDLE_CHANGE_SECONDS
        self._left, self._at = min(MAX_BUNDLE_CHANGES, self._left + gained), now
        return self._left >= 1

    def count(self, changed: bool) -> None:  # noqa: FBT001 -- whether it was
        self._left -= changed
