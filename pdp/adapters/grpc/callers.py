"""Who is at the other end of a call.

grpcio verifies a client's chain against the roots of all trust domains in one pool, as every TLS
library does, and lets sessions be resumed, which verifies nothing. So each chain is verified again,
by `verify_caller`, when it is first seen under a trust store; after that its result is remembered.
A connection has no object of its own here: what is remembered is found by the chain itself.
"""

import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, Protocol, TypeAlias, final

from cachetools import LRUCache, TTLCache

from pdp.identity.caller import Caller
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.identity.trust import TrustStore
from pdp.identity.x509 import verify_caller
from pdp.limits import MAX_CALLERS_CACHED, MAX_REFUSED_CACHED, REFUSED_SECONDS
from pdp.vocabulary import Millis

__all__ = ["Callers", "HasPeer"]

_LEAF: Final = "x509_pem_cert"
_CHAIN: Final = "x509_pem_cert_chain"  # what was sent after the leaf
_VERSION: Final = "ssl_tls_version"
_CERTIFICATE: Final = re.compile("-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")
_Key: TypeAlias = tuple[bytes, int]


class HasPeer(Protocol):
    """What is needed of `grpc.aio.ServicerContext`."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What TLS said about the peer."""


@final
class Callers:
    """Turns what TLS says about a peer into a caller."""

    def __init__(self, trust: Callable[[], TrustStore], clock: Callable[[], Millis]) -> None:
        self._trust = trust
        self._clock = clock
        # INVARIANT: a key holds all that verification depends on but the instant. `Caller.not_after`
        # is the instant at which it ends; `DecisionService.rights` compares it at every question.
        self._known: LRUCache[_Key, Caller] = LRUCache(maxsize=MAX_CALLERS_CACHED)
        # For a moment only: a certificate may become valid. Over HTTP a connection keeps its refusal.
        self._refused: TTLCache[_Key, tuple[Refusal, str]] = TTLCache(
            maxsize=MAX_REFUSED_CACHED, ttl=REFUSED_SECONDS
        )

    def identify(self, context: HasPeer) -> Caller:
        """The caller of a call.

        Raises:
            UntrustedCertificateError: There is none; the message says why.
        """
        said = context.auth_context()
        leaf = tuple(said.get(_LEAF, ()))
        if len(leaf) != 1:
            raise UntrustedCertificateError(Refusal.MALFORMED, "the connection has no client certificate")
        if tuple(said.get(_VERSION, ())) != (b"TLSv1.3",):
            # The settings of the listener leave no other; should they ever fail, this does not.
            raise UntrustedCertificateError(Refusal.MALFORMED, "the connection is not TLS 1.3")
        chain = tuple(said.get(_CHAIN, ()))
        trust = self._trust()
        # A digest, since what is sent along with a leaf may be large. PEM holds no NUL.
        key = (sha256(b"\0".join((leaf[0], *chain))).digest(), trust.epoch)
        caller = self._known.get(key)
        if caller is None:
            caller = self._known[key] = self._verify(key, leaf[0], chain, trust)
        return caller

    def _verify(self, key: _Key, leaf: bytes, chain: Sequence[bytes], trust: TrustStore) -> Caller:
        refused = self._refused.get(key)
        if refused is not None:
            raise UntrustedCertificateError(*refused)
        moment = datetime.fromtimestamp(self._clock() / 1000, UTC)
        try:
            return verify_caller(*_presented(leaf, chain), trust, moment)
        except UntrustedCertificateError as error:
            self._refused[key] = (error.code, error.message)
            raise


def _presented(leaf: bytes, chain: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """The leaf and what came with it, in DER."""
    leaves = _der(leaf)
    if len(leaves) != 1:
        raise UntrustedCertificateError(Refusal.MALFORMED, "the client certificate is malformed")
    return leaves[0], [der for part in chain for der in _der(part)]


def _der(pem: bytes) -> list[bytes]:
    """The certificates in what grpcio wrote as PEM."""
    text = pem.decode("ascii", errors="replace")
    try:
        return [ssl.PEM_cert_to_DER_cert(found[0]) for found in _CERTIFICATE.finditer(text)]
    except ValueError as error:
        raise UntrustedCertificateError(
            Refusal.MALFORMED, "a certificate in the chain is malformed"
        ) from error
