"""Who is at the other end of a call.

grpcio verifies a client's chain against the roots of all trust domains in one pool, as every TLS
library does, and lets sessions be resumed, which verifies nothing. So each chain is verified again,
by `pdp.service.known_callers`, when it is first seen under a trust store.
A connection has no object of its own here: what is remembered is found by the chain itself.
"""

import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, final

from pdp.identity.caller import Caller
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.identity.trust import TrustStore
from pdp.service.known_callers import KnownCallers
from pdp.vocabulary import Millis

__all__ = ["Callers", "HasPeer"]

_LEAF: Final = "x509_pem_cert"
_CHAIN: Final = "x509_pem_cert_chain"  # what was sent after the leaf
_VERSION: Final = "ssl_tls_version"
_CERTIFICATE: Final = re.compile("-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


class HasPeer(Protocol):
    """What is needed of `grpc.aio.ServicerContext`."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What TLS said about the peer."""


@final
class Callers:
    """Turns what TLS says about a peer into a caller."""

    def __init__(self, trust: Callable[[], TrustStore], clock: Callable[[], Millis]) -> None:
        self._known = KnownCallers(trust, clock)

    def identify(self, context: HasPeer) -> Caller:
        """The caller of a call, under the trust of the moment.

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
        return self._known.find((leaf[0], *chain), lambda: _presented(leaf[0], chain))

    def confirm(self, caller: Caller, context: HasPeer) -> Caller:
        """The caller that `identify` would find, given the one that it found before in this very call.

        Raises:
            UntrustedCertificateError: There is none any more.
        """
        return caller if self._known.holds(caller) else self.identify(context)


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
