"""SPIFFE bundles that sources deliver while the service runs: what proves the identities of a trust domain.

This module holds one bundle, and those of all trust domains that have a live source (an agent, or a bundle
endpoint). How one is read and when to look for it is the business of the source; what becomes of it in the
service that of `pdp.process`. Whatever a source says, only the trust domains that the settings give it count.

INVARIANT: a trust domain has one source, and bundles of two never meet (SPIFFE Federation, section 4.2).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from types import MappingProxyType
from typing import Final, final

from cryptography import x509

from pdp.identity.tokens.jwks import KeySet
from pdp.identity.trust import TrustStore

__all__ = ["LiveBundles", "LiveKeys", "SpiffeBundle", "with_live"]

_NOT_YET: Final = "their source has not delivered them yet"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SpiffeBundle:
    """What proves the identities of one trust domain. Immutable.

    Attributes:
        trust_domain: Its name.
        roots: Its authorities for X.509-SVIDs. With none nothing verifies: an empty bundle revokes all.
        keys: Its authorities for JWT-SVIDs, of which the same holds.

    Raises:
        TrustError: The name is no trust domain, or a root may not sign for it.
    """

    trust_domain: str
    roots: tuple[x509.Certificate, ...]
    keys: KeySet

    def __post_init__(self) -> None:
        store = TrustStore(domains={self.trust_domain: self.roots})
        object.__setattr__(self, "roots", store.domains[self.trust_domain])


@final
class LiveBundles:
    """The bundle of each trust domain that has a live source. May be used by several threads."""

    def __init__(self, domains: Iterable[str] = ()) -> None:
        """Begin with nothing for any of these trust domains: no identity of theirs verifies."""
        self._now: Mapping[str, SpiffeBundle] = MappingProxyType(
            {name: SpiffeBundle(trust_domain=name, roots=(), keys=_none_yet()) for name in domains}
        )
        self._told: tuple[Callable[[], None], ...] = ()
        self._lock = Lock()

    def now(self) -> Mapping[str, SpiffeBundle]:
        """What was delivered last, by trust domain. One reference, which is replaced whole."""
        return self._now

    def keys(self) -> Mapping[str, "LiveKeys"]:
        """The keys of each trust domain, as `pdp.identity.tokens.live_trust` takes them."""
        return {name: LiveKeys(self, name) for name in self._now}

    def put(self, bundles: Iterable[SpiffeBundle]) -> None:
        """Take these in the stead of what their trust domains had; returns once they are in force everywhere.

        What could not be put in force is tried again by the next call, with the same bundles or others.

        Raises:
            KeyError: A trust domain has no live source.
            Exception: Whatever keeps somebody from going on with them.
        """
        with self._lock:
            now = dict(self._now)
            for bundle in bundles:
                now[bundle.trust_domain]
                now[bundle.trust_domain] = bundle
            self._now = MappingProxyType(now)
            told = self._told
        _tell_all(told)

    def on_change(self, told: Callable[[], None]) -> Callable[[], None]:
        """Let somebody be told after each `put`, from the thread that calls; what is returned ends it."""
        with self._lock:
            self._told = (*self._told, told)
        return lambda: self._forget(told)

    def _forget(self, told: Callable[[], None]) -> None:
        with self._lock:
            self._told = tuple(each for each in self._told if each is not told)


@final
class LiveKeys:
    """The keys of one trust domain, as its live source delivered them last."""

    def __init__(self, bundles: LiveBundles, trust_domain: str) -> None:
        """Those of `trust_domain` in `bundles`."""
        self._bundles = bundles
        self._trust_domain = trust_domain

    @property
    def problem(self) -> str:
        """Why there are none; empty where there are."""
        return self.current().fault

    def current(self) -> KeySet:
        """The keys in force."""
        return self._bundles.now()[self._trust_domain].keys

    def latest(self, key_id: str | None = None) -> KeySet:  # noqa: ARG002 -- sources deliver unasked
        """The same: a live source says by itself what is new."""
        return self.current()


def with_live(of_files: TrustStore, live: LiveBundles) -> TrustStore:
    """The roots of files, and of what live sources have delivered so far.

    Args:
        of_files: The roots of trust domains without a live source.
        live: The others; one of which nothing was delivered has no roots.
    """
    delivered = {name: bundle.roots for name, bundle in live.now().items()}
    # INVARIANT: nobody is in both (`pdp.config.live_sources`), and never the roots of two together.
    return replace(of_files, domains={**of_files.domains, **delivered})


def _none_yet() -> KeySet:
    return KeySet(keys=(), fault=_NOT_YET)


def _tell_all(told: tuple[Callable[[], None], ...]) -> None:
    """Tell each, whatever another raises."""
    if not told:
        return
    first, *others = told
    try:
        first()
    finally:
        _tell_all(tuple(others))
