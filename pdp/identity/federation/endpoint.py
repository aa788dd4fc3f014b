"""Bundle endpoints: who may tell us what the bundle of another trust domain is.

SPIFFE Federation, section 5.2. A server is known by its name (`https_web`), or by its SPIFFE ID
and the bundle of its own trust domain (`https_spiffe`). Either way a document says nothing of whose it is:
that is what the settings say of the endpoint. Redirects, which clients should follow, are refused as by
every fetch of ours; what is fetched is read in `pdp.identity.federation.document`.
"""

import ssl
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import TypeAlias, final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pdp.identity.federation.document import BundleDocument
from pdp.identity.fetch import FetchError, SourceUrl, fetch
from pdp.identity.peer import peer_chain
from pdp.identity.refusal import UntrustedCertificateError
from pdp.identity.trust import TrustStore
from pdp.identity.x509 import verify_caller
from pdp.limits import FETCH_SECONDS
from pdp.principals import spiffe_principal

__all__ = ["Endpoint", "EndpointProfile", "SpiffeEndpoint", "WebEndpoint"]

#: Gives the document, or FetchError. Is given the latest bundle that is known of the trust domain it
#: tells of.
Endpoint: TypeAlias = Callable[[BundleDocument | None], bytes]


@final
class EndpointProfile(Enum):
    """How the server of an endpoint is known."""

    HTTPS_WEB = "https_web"
    HTTPS_SPIFFE = "https_spiffe"


@final
class WebEndpoint:
    """An endpoint whose server is known by its name: section 5.2.1."""

    def __init__(self, url: SourceUrl, context: ssl.SSLContext, *, seconds: float = FETCH_SECONDS) -> None:
        """Ask at a URL, whose server `context` verifies, for so long at most."""
        self._url, self._context, self._seconds = url, context, seconds

    def __call__(self, _latest: BundleDocument | None) -> bytes:
        """As `Endpoint`."""
        return fetch(self._url, self._context, seconds=self._seconds)


@final
class SpiffeEndpoint:
    """An endpoint whose server is known by its SPIFFE ID: section 5.2.2."""

    def __init__(
        self,
        url: SourceUrl,
        spiffe_id: str,
        *,
        clock: Callable[[], datetime],
        trust: Callable[[], TrustStore],
        seconds: float = FETCH_SECONDS,
    ) -> None:
        """Ask at a URL, and nobody but a workload.

        Args:
            url: Where it is; the name in it says nothing of who is there.
            spiffe_id: Whose certificate its server has.
            clock: The wall clock, with a time zone.
            trust: Gives the roots and revocation lists in force of all trust domains.
            seconds: How long it may take once the name is resolved.

        Raises:
            ValueError: `spiffe_id` is not that of a workload.
        """
        self._url, self._clock, self._in_force, self._seconds = url, clock, trust, seconds
        self._server = spiffe_principal(spiffe_id)

    def __call__(self, latest: BundleDocument | None) -> bytes:
        """As `Endpoint`."""
        trust = self._trust(latest)
        return fetch(
            self._url, _unverified(), verify=lambda tls: self._require(tls, trust), seconds=self._seconds
        )

    def _trust(self, latest: BundleDocument | None) -> TrustStore:
        """Roots and revocation lists of the server's own trust domain, the latest known, and no others.

        A bundle has no lists: they are those that the settings name, whoever tells the roots.

        INVARIANT: they are asked for at each fetch. What a bundle, or a list, has revoked vouches for no
        later one.
        """
        domain, now = self._server.trust_domain, self._in_force()
        own = latest is not None and latest.bundle.trust_domain == domain
        roots = latest.bundle.roots if latest is not None and own else now.domains.get(domain, ())
        return TrustStore(domains={domain: roots}, crls={domain: now.crls.get(domain, ())})

    def _require(self, tls: ssl.SSLSocket, trust: TrustStore) -> None:
        """Raise FetchError unless the server is the workload that it should be."""
        leaf, *others = peer_chain(tls)  # a server of TLS presents one, or the handshake fails
        try:
            found = verify_caller(leaf, others, trust, self._clock())
        except UntrustedCertificateError as error:
            raise self._somebody_else(error.message) from error
        if not _may_serve(leaf):
            raise self._somebody_else("the certificate's extended key usage leaves out serverAuth")
        if found.id != self._server.id:
            raise self._somebody_else(f"it is `{found.id}`, not `{self._server.id}`")

    def _somebody_else(self, why: str) -> FetchError:
        return FetchError(f"{self._url.text}: its server is not who it should be: {why}")


def _unverified() -> ssl.SSLContext:
    """A context that verifies nobody: OpenSSL knows neither trust domains nor SPIFFE IDs.

    Only the handshake is made with it, which proves that the key of the certificate is at the other end;
    nothing is sent or read before `SpiffeEndpoint` has verified the certificate itself.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= ssl.OP_NO_RENEGOTIATION  # to another certificate, after it was looked at
    return context


def _may_serve(leaf: bytes) -> bool:
    """X509-SVID, section 4.4: where a certificate names its uses, both ends of TLS are among them.

    The end that callers are at is looked at by `verify_caller`.
    """
    extensions = x509.load_der_x509_certificate(leaf).extensions
    try:
        purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in purposes
