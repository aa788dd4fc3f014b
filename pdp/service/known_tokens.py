"""Tokens that were verified already: the signature of each is looked at once by one configuration.

The clock and the trust in force are read at every question. What a verification depends on besides the token
is the configuration of its issuer, keys included, and the instant: the first is part of the key, the
second is looked at again.
"""

import threading
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple, TypeAlias, final

from cachetools import LRUCache

from pdp.identity.tokens.claims import check_times
from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jws import parse_compact
from pdp.identity.tokens.jwt import Latest, VerifiedToken, as_it_is, issuer_of, verify_token
from pdp.identity.tokens.refusal import RefusedTokenError
from pdp.identity.tokens.review import Review
from pdp.limits import MAX_TOKEN_CACHE_BYTES
from pdp.service.counts import TOKEN_OUTCOMES
from pdp.vocabulary import Millis

__all__ = ["Count", "KnownTokens", "digest_of"]

#: Counts what became of a token: one of `TOKEN_OUTCOMES`.
Count: TypeAlias = Callable[[str], None]

_CACHED, _VERIFIED, _REFUSED = TOKEN_OUTCOMES


class _Known(NamedTuple):
    """A token that verified, and how long it is."""

    token: VerifiedToken
    size: int


@final
class KnownTokens:
    """Turns tokens into what they prove. May be used by several threads.

    A refusal is not kept: what nobody signed would push out what somebody did.
    """

    def __init__(
        self,
        trust: Callable[[], TokenTrust],
        latest: Latest = as_it_is,
        *,
        reviews: Callable[[bytes], Review | None] = lambda _: None,
        size: int = MAX_TOKEN_CACHE_BYTES,
        count: Count = lambda _: None,
    ) -> None:
        """Verify by what `trust` and `latest` give at each time; keep `size` bytes of tokens.

        What clusters say of tokens is given by `reviews`, by digest of the token.
        """
        self._reviews = reviews
        self._trust = trust
        self._latest = latest
        self._count = count
        # INVARIANT: what is found is used only while its issuer's configuration, by its id, is the one in
        # force. So whatever changes of that, a key included, ends all that was verified by it.
        self._known: LRUCache[bytes, _Known] = LRUCache(maxsize=size, getsizeof=_size)
        self._lock = threading.Lock()

    @property
    def trust(self) -> TokenTrust:
        """Everybody whose tokens are believed now."""
        return self._trust()

    def find(self, text: str, now: Millis) -> VerifiedToken:
        """What a token proves at an instant.

        Raises:
            RefusedTokenError: Nothing.
        """
        try:
            found, known = self._find(text, now)
        except RefusedTokenError:
            self._count(_REFUSED)
            raise
        self._count(_CACHED if known else _VERIFIED)
        return found

    def _find(self, text: str, now: Millis) -> tuple[VerifiedToken, bool]:
        """What it proves, and whether that was known."""
        key = digest_of(text)
        trust = self._trust()
        found = self._kept(key, trust, now)
        if found is not None:
            check_times(found.times, found.issuer, now)
            return found, True
        parsed = parse_compact(text)
        issuer = issuer_of(parsed.claims.get("sub"), parsed.claims.get("iss"), trust)
        found = verify_token(parsed, self._latest(issuer, parsed.key_id), now, self._reviews(key))
        with self._lock:
            if len(text) <= self._known.maxsize:
                self._known[key] = _Known(found, len(text))
        return found, False

    def issuer(self, text: str) -> TokenIssuer | None:
        """By whose configuration a token would be verified; None if by nobody's. Nothing is proven by it."""
        with self._lock:
            known = self._known.get(digest_of(text))
        if known is not None:
            return known.token.issuer
        try:
            claims = parse_compact(text).claims
            return issuer_of(claims.get("sub"), claims.get("iss"), self._trust())
        except RefusedTokenError:
            return None

    def _kept(self, key: bytes, trust: TokenTrust, now: Millis) -> VerifiedToken | None:
        with self._lock:
            known = self._known.get(key)
            if known is not None and _holds(known.token, trust, now):
                return known.token
            self._known.pop(key, None)
            return None


def digest_of(text: str) -> bytes:
    """By what a token is known: of the same length whatever is sent, and no use to who finds it in memory."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _holds(token: VerifiedToken, trust: TokenTrust, now: Millis) -> bool:
    """Whether a token verified by what is in force now, and has not expired, leeway or not."""
    # Of a trust domain a workload is found by its subject alone; were its token a user's now, that is another
    # configuration.
    named = None if token.issuer.profile is TokenProfile.SPIFFE else token.issuer.name
    if token.review is not None and not token.review.holds(now):
        return False
    try:
        return now < token.times.expires and issuer_of(token.subject, named, trust).id == token.issuer.id
    except RefusedTokenError:
        return False


def _size(known: _Known) -> int:
    return known.size
