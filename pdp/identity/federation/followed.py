"""The bundle of another trust domain, as its endpoint has it: the last good one, and when to ask again.

SPIFFE Federation, sections 4.1, 4.2 and 6.2. What cannot be fetched or read, or is older than what was taken,
changes nothing, and is told for as long as it lasts. Roots stay until they end by themselves; the keys of
tokens, which do not say when they end, until nobody has confirmed them for too long.

INVARIANT: the bundle that we were given to begin with proves who the endpoint is, and nothing else. It may
have lain there for months: whom it vouches for is believed once the endpoint has said the same.
"""

import threading
from collections.abc import Callable
from typing import final

from cryptography import x509

from pdp.identity.federation.bundle import TrustBundle, TrustBundleError, read_trust_bundle
from pdp.identity.federation.endpoint import Endpoint
from pdp.identity.fetch import FetchError
from pdp.identity.tokens.jwks import KeySet
from pdp.limits import (
    BUNDLE_DUE_SECONDS,
    FIRST_BUNDLE_SECONDS,
    KEYS_PAUSE_SECONDS,
    MAX_BUNDLE_DUE_SECONDS,
    MAX_KEYS_SECONDS,
    MIN_BUNDLE_DUE_SECONDS,
)

__all__ = ["FollowedBundle"]


@final
class FollowedBundle:
    """The bundle of one trust domain. May be used by several threads."""

    def __init__(
        self,
        trust_domain: str,
        endpoint: Endpoint,
        clock: Callable[[], float],
        *,
        bootstrap: TrustBundle | None = None,
    ) -> None:
        """Nothing is fetched until somebody asks.

        Args:
            trust_domain: Whose bundle it is.
            endpoint: Where it is told.
            clock: Seconds, never set back.
            bootstrap: One by which the endpoint is known at first. Older ones are not taken.

        Raises:
            ValueError: `bootstrap` is that of another trust domain.
        """
        if bootstrap is not None and bootstrap.trust_domain != trust_domain:
            raise ValueError("the bootstrap bundle is that of another trust domain")
        self._trust_domain, self._endpoint, self._clock = trust_domain, endpoint, clock
        self._bootstrap = bootstrap
        self._looking = threading.Lock()
        self._good: TrustBundle | None = None
        self._newest = -1 if bootstrap is None or bootstrap.sequence is None else bootstrap.sequence
        self._confirmed = 0.0
        self._tried: float | None = None
        self._problem = "its bundle has not been fetched yet"
        self._doubts: tuple[str, ...] = ()

    @property
    def trust_domain(self) -> str:
        """Whose bundle it is."""
        return self._trust_domain

    @property
    def problem(self) -> str:
        """Why the last look brought nothing; empty where it did."""
        return self._problem

    @property
    def doubts(self) -> tuple[str, ...]:
        """What was strange about the bundle in force when it was last confirmed, one sentence each."""
        return self._doubts

    def current(self) -> TrustBundle | None:
        """The last good one; None until the endpoint has told one."""
        return self._good

    def roots(self) -> tuple[x509.Certificate, ...]:
        """The roots in force; none until the endpoint has told some."""
        good = self._good
        return () if good is None else good.roots

    def keys(self) -> KeySet:
        """The keys of tokens in force."""
        good = self._good
        if good is None:
            return KeySet(keys=(), fault=self._problem)
        if self._clock() - self._confirmed >= MAX_KEYS_SECONDS:
            return KeySet(keys=(), fault=f"nobody has confirmed them for too long: {self._problem}")
        return good.keys

    def look(self, key_id: str | None = None) -> None:
        """Ask the endpoint, if that is due, or if a token names a key that the bundle does not have.

        Of several that come at once one asks, and the others wait for what it finds.
        """
        if self._is_wanted(key_id):
            with self._looking:
                if self._is_wanted(key_id):  # perhaps somebody has just asked
                    self._look()

    def _is_wanted(self, key_id: str | None) -> bool:
        if self._tried is None:
            return True
        waited = self._clock() - self._tried
        if waited >= self._interval():
            return True
        if key_id is None or waited < KEYS_PAUSE_SECONDS:
            return False
        good = self._good
        return good is None or all(key.key_id != key_id for key in good.keys.keys)

    def _interval(self) -> float:
        """Between two looks, whether or not the last one failed: section 6.2."""
        known = self._good or self._bootstrap
        # Zero is how some publishers leave it out.
        hint = known.refresh_hint if known is not None and known.refresh_hint else BUNDLE_DUE_SECONDS
        bounded = min(max(hint, MIN_BUNDLE_DUE_SECONDS), MAX_BUNDLE_DUE_SECONDS)
        return bounded if self._good is not None else min(bounded, FIRST_BUNDLE_SECONDS)

    def _look(self) -> None:
        try:
            # Section 5.2.2.4: the latest bundle MUST prove who the endpoint is, though it be empty.
            found = read_trust_bundle(self._endpoint(self._good or self._bootstrap), self._trust_domain)
            self._refuse_older(found)
        except (FetchError, TrustBundleError) as error:
            self._problem = str(error)
        else:
            self._doubts = tuple(self._doubts_of(found))
            self._problem = ""
            self._newest = max(self._newest, found.sequence if found.sequence is not None else -1)
            self._confirmed = self._clock()
            self._good = found
        finally:
            self._tried = self._clock()

    def _refuse_older(self, found: TrustBundle) -> None:
        """Section 4.2: the sequence says which of two is newer. Without one it is what was told last."""
        if found.sequence is not None and found.sequence < self._newest:
            msg = f"the bundle goes back: its sequence is {found.sequence}, after {self._newest}"
            raise TrustBundleError(msg)

    def _doubts_of(self, found: TrustBundle) -> list[str]:
        doubts = [f"key {each.number} of its bundle is not used: {each.why}" for each in found.ignored]
        if not found.roots and not found.keys.keys:
            doubts.append("its bundle is empty: all that it vouched for is revoked")
        if found.sequence is None:
            if self._newest >= 0:
                doubts.append("its bundle has no sequence any more")
            return doubts
        before = self._good
        if before is not None and before.sequence == found.sequence and before.digest != found.digest:
            # Taken all the same: what it leaves out may have been revoked.
            doubts.append(f"its bundle changed, and its sequence did not: {found.sequence}")
        return doubts
