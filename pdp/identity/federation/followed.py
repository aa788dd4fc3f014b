"""The bundle of another trust domain, as its endpoint has it: the last good one, and when to ask again.

SPIFFE Federation, sections 4.1, 4.2 and 6.2. What cannot be fetched or read, or is older than what was taken,
changes nothing, and is told for as long as it lasts. Roots stay until they end by themselves; the keys of
tokens, which do not say when they end, until nobody has confirmed them for too long.

INVARIANT: the bundle that we were given to begin with proves who the endpoint is, and nothing else. It may
have lain there for months: whom it vouches for is believed once the endpoint has said the same.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, final

from pdp.identity.bundle import SpiffeBundle
from pdp.identity.federation.document import BundleDocument, BundleDocumentError, read_bundle_document
from pdp.identity.federation.endpoint import Endpoint
from pdp.identity.fetch import FetchError
from pdp.identity.tokens.jwks import KeySet
from pdp.limits import (
    BUNDLE_DUE_SECONDS,
    FIRST_BUNDLE_SECONDS,
    MAX_BUNDLE_DUE_SECONDS,
    MAX_KEYS_SECONDS,
    MIN_BUNDLE_DUE_SECONDS,
)

__all__ = ["FollowedBundle"]

_TOO_LONG: Final = "nobody has confirmed the bundle for too long"


@final
class FollowedBundle:
    """The bundle of one trust domain. One thread looks; others may read what is in force."""

    def __init__(
        self,
        trust_domain: str,
        endpoint: Endpoint,
        clock: Callable[[], float],
        *,
        bootstrap: BundleDocument | None = None,
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
        if bootstrap is not None and bootstrap.bundle.trust_domain != trust_domain:
            raise ValueError("the bootstrap bundle is that of another trust domain")
        self._trust_domain, self._endpoint, self._clock = trust_domain, endpoint, clock
        self._bootstrap = bootstrap
        self._good: BundleDocument | None = None
        self._newest = None if bootstrap is None else bootstrap.sequence
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
        """Why the last look brought nothing, and what has come of that; empty where it brought one."""
        if self._good is None or not self._is_unconfirmed():
            return self._problem
        return f"{self._problem}; {_TOO_LONG}: keys of tokens are believed no more, and roots until they end"

    @property
    def doubts(self) -> tuple[str, ...]:
        """What was strange about the bundle in force when it was last confirmed, one sentence each."""
        return self._doubts

    def in_force(self) -> SpiffeBundle | None:
        """The last good one; None until the endpoint has told one."""
        good = self._good
        if good is None:
            return None
        if not self._is_unconfirmed():
            return good.bundle
        return replace(good.bundle, keys=KeySet(keys=(), fault=_TOO_LONG))

    def look(self) -> None:
        """Ask the endpoint, if that is due."""
        if self._tried is None or self._clock() - self._tried >= self._interval():
            self._look()

    def _is_unconfirmed(self) -> bool:
        return self._clock() - self._confirmed >= MAX_KEYS_SECONDS

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
            found = read_bundle_document(self._endpoint(self._good or self._bootstrap), self._trust_domain)
            self._refuse_older(found)
        except (FetchError, BundleDocumentError) as error:
            self._problem = str(error)
        else:
            self._doubts = tuple(self._doubts_of(found))
            self._problem = ""
            self._newest = self._newest if found.sequence is None else found.sequence
            self._confirmed = self._clock()
            self._good = found
        finally:
            self._tried = self._clock()

    def _refuse_older(self, found: BundleDocument) -> None:
        """Section 4.2: the sequence says which of two is newer. Without one it is what was told last."""
        if found.sequence is not None and self._newest is not None and found.sequence < self._newest:
            msg = f"the bundle goes back: its sequence is {found.sequence}, after {self._newest}"
            raise BundleDocumentError(msg)

    def _doubts_of(self, found: BundleDocument) -> list[str]:
        doubts = [f"key {each.number} of its bundle is not used: {each.why}" for each in found.ignored]
        if not found.bundle.roots and not found.bundle.keys.keys:
            doubts.append("its bundle is empty: all that it vouched for is revoked")
        if found.sequence is None:
            if self._newest is not None:
                doubts.append("its bundle has no sequence any more")
            return doubts
        before = self._good
        if before is not None and before.sequence == found.sequence and before.digest != found.digest:
            # Taken all the same: what it leaves out may have been revoked.
            doubts.append(f"its bundle changed, and its sequence did not: {found.sequence}")
        return doubts
