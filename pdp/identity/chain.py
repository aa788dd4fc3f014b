"""From a leaf up to a root of its own trust domain.

This module holds the search for a path and its check. `cryptography` does both (RFC
5280, section 6, in the stricter profile of the Web PKI); here it is given the roots of
one trust domain only, and no more certificates than really descend from them. The name
on the leaf and its uses are checked in `pdp.identity.x509`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.verification import (
    ClientVerifier,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from pdp.identity.certificates import shown, signing_fault
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.limits import MAX_CHAIN_CERTIFICATES

__all__ = ["build_chain", "check_dates", "issued_by", "signers"]


def check_dates(certificate: x509.Certificate, which: str, now: datetime) -> None:
    """Refuse a certificate outside its validity, both ends of which belong to it.

    RFC 5280, section 4.1.2.5. `which` opens the sentence.

    Raises:
        UntrustedCertificateError: It is not valid yet, or no longer.
    """
    if now > certificate.not_valid_after_utc:
        msg = f"{which} expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
        raise UntrustedCertificateError(Refusal.EXPIRED, msg)
    if now < certificate.not_valid_before_utc:
        msg = f"{which} is valid only from {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
        raise UntrustedCertificateError(Refusal.NOT_YET_VALID, msg)


def build_chain(
    leaf: x509.Certificate,
    extra: Iterable[x509.Certificate],
    roots: tuple[x509.Certificate, ...],
    domain: str | None,
    now: datetime,
) -> list[x509.Certificate]:
    """The verified path, leaf first, root last.

    Args:
        leaf: The certificate to authenticate; its own dates are checked already.
        extra: Certificates sent along, without repetitions, in any order.
        roots: The roots of the leaf's own trust domain, and nobody else's.
        domain: That trust domain, or None for the authority of DNS identities.
        now: The instant of the verification, with a time zone.

    Raises:
        UntrustedCertificateError: There is no such path, or it breaks a rule.
    """
    usable, faults = signers(extra, roots, domain)
    issuers = _issuers_of(leaf, (*usable, *roots))
    if not issuers:
        if faults:
            msg = f"the signing certificate {faults[0]}"
            raise UntrustedCertificateError(Refusal.SIGNING_CERTIFICATE, msg)
        owner = f"the trust domain `{domain}`" if domain else "DNS identities"
        msg = f"the chain does not lead to a root of {owner} (are the intermediate certificates sent along?)"
        raise UntrustedCertificateError(Refusal.UNTRUSTED_CHAIN, msg)
    try:
        chain = _verifier(roots, now).verify(leaf, usable).chain
    except VerificationError as error:
        _explain_dates(leaf, (*usable, *roots), now, error)
        msg = "a certificate on the chain breaks a rule of RFC 5280 or uses weak cryptography"
        raise UntrustedCertificateError(Refusal.CHAIN_RULES, msg) from error
    for certificate in chain[1:]:  # the library drops fractions of a second; we do not
        check_dates(certificate, f"the signing certificate `{shown(certificate)}`", now)
    return chain


def signers(
    extra: Iterable[x509.Certificate], roots: tuple[x509.Certificate, ...], domain: str | None
) -> tuple[list[x509.Certificate], list[str]]:
    """The certificates sent along that really descend from the roots and may sign.

    Only these reach the path builder. It searches depth first with a fixed allowance of
    signature checks, so certificates that sign each other in a circle would use it up,
    and with it the time of everybody else.

    Returns:
        The usable ones, and what is wrong with those that descend from a root but may
        not sign: their descendants are left out with them.
    """
    usable: list[x509.Certificate] = []
    faults: list[str] = []
    waiting = [certificate for certificate in extra if certificate not in roots]
    parents: list[x509.Certificate] = list(roots)
    while parents:
        found = [certificate for certificate in waiting if _issuers_of(certificate, parents)]
        waiting = [certificate for certificate in waiting if certificate not in found]
        named = [(certificate, signing_fault(certificate, domain)) for certificate in found]
        faults += [f"`{shown(certificate)}` is refused: {fault}" for certificate, fault in named if fault]
        parents = [certificate for certificate, fault in named if fault is None]
        usable += parents
    return usable, faults


def _issuers_of(
    certificate: x509.Certificate, candidates: Iterable[x509.Certificate]
) -> list[x509.Certificate]:
    """The candidates whose name and key made this certificate."""
    return [candidate for candidate in candidates if issued_by(certificate, candidate)]


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether one has made another, by its name and its key."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _verifier(roots: tuple[x509.Certificate, ...], now: datetime) -> ClientVerifier:
    """A verifier that knows these roots and no others.

    The defaults are kept for both halves: permitting everything on the leaf, which is
    how one would allow unusual names, also permits a CA certificate there.
    """
    return (
        PolicyBuilder()
        .store(Store(list(roots)))
        .time(now)
        .max_chain_depth(MAX_CHAIN_CERTIFICATES)
        .extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.webpki_defaults_ee()
        )
        .build_client_verifier()
    )


def _explain_dates(
    leaf: x509.Certificate, signers: Sequence[x509.Certificate], now: datetime, cause: Exception
) -> None:
    """Raise the precise refusal if a signing certificate above `leaf` is out of date."""
    above, seen = [leaf], [leaf]
    while above:
        above = [s for s in signers if s not in seen and any(issued_by(below, s) for below in above)]
        seen += above
        for signer in above:
            try:
                check_dates(signer, f"the signing certificate `{shown(signer)}`", now)
            except UntrustedCertificateError as refusal:
                raise refusal from cause
