"""From a certificate chain to a caller, or a refusal that says why.

This module holds the rules of X509-SVID for a leaf, and the choice of the roots that
may prove its name: those of the leaf's *own* trust domain. The path up to them is the
business of `pdp.identity.chain`, whom we believe that of `pdp.identity.trust`, and
quarantine and what a caller may ask that of `pdp.service`.

A TLS handshake alone makes no caller: a TLS library pools the roots of all trust
domains, so that a partner's authority could mint our identities through it.

URI name constraints are not supported by the path builder: a chain with one on it is
refused, even where the name lies within. Where authorities publish revocation lists,
`pdp.identity.revocation` looks at them; where there are none, credentials are short-lived, and
a leaked one is quarantined (`pdp.identity.quarantine`).
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pdp.identity.caller import Caller, CallerKind
from pdp.identity.certificates import dns_names, fingerprint, is_authority, serial_text, uris
from pdp.identity.chain import build_chain, check_dates
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.identity.revocation import check_revocation
from pdp.identity.trust import DNS, TrustStore
from pdp.limits import MAX_CERTIFICATE_BYTES, MAX_CHAIN_CERTIFICATES
from pdp.principals import InvalidIdentityError, Principal, dns_principal, spiffe_principal

__all__ = ["Refusal", "UntrustedCertificateError", "svid_identity", "verify_caller"]


def verify_caller(
    leaf_der: bytes, intermediates_der: Sequence[bytes], trust: TrustStore, now: datetime
) -> Caller:
    """The caller that a presented chain authenticates.

    Args:
        leaf_der: The certificate whose key the TLS handshake proved, in DER.
        intermediates_der: The other certificates it sent, in DER, in any order; those
            that do not help are ignored.
        trust: The roots of each trust domain.
        now: The instant of the verification, with a time zone.

    Raises:
        UntrustedCertificateError: Anything is wrong with the chain, whatever it is.
        ValueError: `now` has no time zone: a defect of whoever calls.
    """
    if now.tzinfo is None:
        raise ValueError("`now` needs a time zone")
    try:
        return _verify(leaf_der, intermediates_der, trust, now)
    except UntrustedCertificateError:
        raise
    except BaseException as error:
        # Parsers meet hostile bytes here, and much is parsed lazily: whatever they raise
        # is a refusal. A panic in the library's Rust half is not even an `Exception`.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise UntrustedCertificateError(
            Refusal.MALFORMED, "a certificate in the chain is malformed"
        ) from error


def _verify(leaf_der: bytes, intermediates_der: Sequence[bytes], trust: TrustStore, now: datetime) -> Caller:
    _check_sizes(leaf_der, intermediates_der)
    leaf = _parse(leaf_der, "the leaf certificate")
    # A set in effect: a certificate sent twice must not cost twice.
    extra = {der: _parse(der, "a certificate sent with the leaf") for der in intermediates_der}
    identity, roots = _identity(leaf, trust)
    _check_leaf(leaf)
    check_dates(leaf, "the certificate", now)
    chain = build_chain(leaf, extra.values(), roots, identity.trust_domain or None, now)
    known_until = check_revocation(chain, trust.crls.get(identity.trust_domain or DNS, ()), now)
    not_after = min(int(c.not_valid_after_utc.timestamp()) for c in chain) * 1000
    return Caller(
        kind=CallerKind(identity.kind.value),
        id=identity.id,
        trust_domain=identity.trust_domain,
        segments=identity.segments,
        fingerprint=fingerprint(leaf),
        not_after=not_after if known_until is None else min(not_after, known_until),
        epoch=trust.epoch,
        serial=serial_text(leaf.serial_number),
    )


def _check_sizes(leaf_der: bytes, intermediates_der: Sequence[bytes]) -> None:
    count = 1 + len(intermediates_der)
    if count > MAX_CHAIN_CERTIFICATES:
        msg = f"{count} certificates were sent: at most {MAX_CHAIN_CERTIFICATES} are read"
        raise UntrustedCertificateError(Refusal.TOO_LARGE, msg)
    largest = max(len(der) for der in (leaf_der, *intermediates_der))
    if largest > MAX_CERTIFICATE_BYTES:
        msg = f"a certificate has {largest} bytes: at most {MAX_CERTIFICATE_BYTES} are read"
        raise UntrustedCertificateError(Refusal.TOO_LARGE, msg)


def _parse(der: bytes, which: str) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions  # parsed lazily
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise UntrustedCertificateError(Refusal.MALFORMED, f"{which} is malformed") from error
    return certificate


def _identity(leaf: x509.Certificate, trust: TrustStore) -> tuple[Principal, tuple[x509.Certificate, ...]]:
    """The name on the leaf, as yet unproven, and the only roots that can prove it."""
    identity = _spiffe_identity(leaf)
    if identity is None:
        return _dns_identity(leaf, trust)
    roots = trust.domains.get(identity.trust_domain)
    if roots is None:
        msg = f"nobody is trusted for the trust domain `{identity.trust_domain}`"
        raise UntrustedCertificateError(Refusal.UNKNOWN_TRUST_DOMAIN, msg)
    return identity, roots


def _spiffe_identity(leaf: x509.Certificate) -> Principal | None:
    """The SPIFFE ID on the leaf, as yet unproven, if there is a URI on it."""
    names = uris(leaf)
    if len(names) > 1:  # X509-SVID, section 2: MUST be rejected
        msg = f"the certificate has {len(names)} URIs: an identity is exactly one"
        raise UntrustedCertificateError(Refusal.SEVERAL_URIS, msg)
    if not names:
        return None
    try:
        return spiffe_principal(names[0])  # X509-SVID, sections 3.1 and 5.2: with a path
    except InvalidIdentityError as error:
        msg = f"the certificate's URI is not the SPIFFE ID of a workload: {error}"
        raise UntrustedCertificateError(Refusal.NOT_A_SPIFFE_ID, msg) from error


def svid_identity(leaf: x509.Certificate) -> Principal:
    """Whose X.509-SVID a certificate is by what it says of itself; nothing is proven of it.

    Raises:
        UntrustedCertificateError: It is none (X509-SVID, sections 2 to 4).
    """
    identity = _spiffe_identity(leaf)
    if identity is None:
        raise UntrustedCertificateError(
            Refusal.NO_URI, "the certificate has no URI, and an X.509-SVID has one"
        )
    _check_leaf(leaf)
    return identity


def _dns_identity(
    leaf: x509.Certificate, trust: TrustStore
) -> tuple[Principal, tuple[x509.Certificate, ...]]:
    if trust.dns is None:
        msg = "the certificate has no URI, and DNS identities are not trusted here"
        raise UntrustedCertificateError(Refusal.NO_URI, msg)
    names = dns_names(leaf)
    if len(names) != 1:
        msg = f"the certificate has no URI and {len(names)} DNS names: an identity is exactly one"
        raise UntrustedCertificateError(Refusal.NOT_A_DNS_IDENTITY, msg)
    try:
        return dns_principal(names[0]), trust.dns
    except InvalidIdentityError as error:
        msg = f"the certificate's DNS name is not an identity: {error}"
        raise UntrustedCertificateError(Refusal.NOT_A_DNS_IDENTITY, msg) from error


def _check_leaf(leaf: x509.Certificate) -> None:
    """What the path builder does not ask of a leaf (X509-SVID, sections 4.1, 4.3, 4.4)."""
    if is_authority(leaf):
        msg = "the certificate is a CA certificate: those only sign, they do not authenticate"
        raise UntrustedCertificateError(Refusal.CA_AS_LEAF, msg)
    fault = _key_usage_fault(leaf)
    if fault is not None:
        raise UntrustedCertificateError(Refusal.KEY_USAGE, f"the certificate's key usage {fault}")
    try:
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
        msg = "the certificate's extended key usage leaves out clientAuth"
        raise UntrustedCertificateError(Refusal.EXTENDED_KEY_USAGE, msg)


def _key_usage_fault(leaf: x509.Certificate) -> str | None:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    except x509.ExtensionNotFound:
        return "is missing"
    if not extension.critical:
        return "is not marked critical"
    if extension.value.key_cert_sign or extension.value.crl_sign:
        return "allows signing certificates or revocation lists"
    return None if extension.value.digital_signature else "leaves out digitalSignature"
