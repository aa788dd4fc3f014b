"""Callers by the chains that they present: each is verified once under one trust store.

A connection keeps no caller for itself: it asks here, and is told anew whenever trust has changed.
What a certificate's expiry means for a question is the business of `pdp.service.decision_service`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, TypeAlias, final

from cachetools import LRUCache, TTLCache

from pdp.identity.caller import Caller
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.identity.trust import TrustStore
from pdp.identity.x509 import verify_caller
from pdp.limits import MAX_CALLERS_CACHED, MAX_REFUSED_CACHED, REFUSED_SECONDS
from pdp.vocabulary import Millis

__all__ = ["KnownCallers"]

_Key: TypeAlias = tuple[bytes, int]
_Presented: TypeAlias = tuple[bytes, Sequence[bytes]]
#: What has only come to its end. Who asks about the instant says so, in words of its own.
_ENDED: Final = frozenset({Refusal.EXPIRED, Refusal.REVOCATION_UNKNOWN})


@final
class KnownCallers:
    """Turns presented chains into callers. Used by one thread."""

    def __init__(self, trust: Callable[[], TrustStore], clock: Callable[[], Millis]) -> None:
        """Verify to the roots that `trust` gives at each time, at the instant of `clock`."""
        self._trust = trust
        self._clock = clock
        # INVARIANT: a key holds all that verification depends on but the instant. `Caller.not_after`
        # is the instant at which it ends; it is compared here, and `DecisionService.rights` does at every
        # question.
        self._known: LRUCache[_Key, Caller] = LRUCache(maxsize=MAX_CALLERS_CACHED)
        # For a moment only: a certificate may become valid.
        self._refused: TTLCache[_Key, tuple[Refusal, str]] = TTLCache(
            maxsize=MAX_REFUSED_CACHED, ttl=REFUSED_SECONDS
        )

    @property
    def epoch(self) -> int:
        """Of the trust store in force: what was found under another says nothing any more."""
        return self._trust().epoch

    def holds(self, caller: Caller) -> bool:
        """Whether a caller that was found before would be found again, the very same."""
        return caller.epoch == self.epoch and self._clock() <= caller.not_after

    def find(self, evidence: Sequence[bytes], presented: Callable[[], _Presented]) -> Caller:
        """The caller that a chain authenticates, or has: one that has expired is found as it was.

        Args:
            evidence: All that was presented, in whatever form; the same bytes are the same chain.
            presented: Gives the leaf, and what came with it, in DER. Called if they are not known.

        Raises:
            UntrustedCertificateError: It authenticates nobody; the message says why.
        """
        trust = self._trust()
        # A digest, since what is sent along with a leaf may be large; with lengths, since the same
        # bytes may be cut in more than one way.
        cut = b"".join(len(part).to_bytes(8) + part for part in evidence)
        key = (sha256(cut).digest(), trust.epoch)
        caller = self._known.get(key)
        if caller is None:
            caller = self._known[key] = self._verify(key, presented, trust)
        elif not self.holds(caller):
            caller = self._known[key] = self._verify_again(caller, key, presented, trust)
        return caller

    def _verify_again(
        self, caller: Caller, key: _Key, presented: Callable[[], _Presented], trust: TrustStore
    ) -> Caller:
        """What has become of a caller: another revocation list of the same trust may have begun meanwhile."""
        try:
            return self._verify(key, presented, trust)
        except UntrustedCertificateError as error:
            if error.code in _ENDED:
                return caller
            raise

    def _verify(self, key: _Key, presented: Callable[[], _Presented], trust: TrustStore) -> Caller:
        refused = self._refused.get(key)
        if refused is not None:
            raise UntrustedCertificateError(*refused)
        moment = datetime.fromtimestamp(self._clock() / 1000, UTC)
        try:
            return verify_caller(*presented(), trust, moment)
        except UntrustedCertificateError as error:
            self._refused[key] = (error.code, error.message)
            raise
