"""What the certificates of the development authority look like.

This module holds the three profiles, root, intermediate and leaf, and that of revocation lists, as
functions of their keys, names and dates. Files and rules about who may get one are the business of
`pdp.identity.authority`.

No name constraints: the verifier refuses those on URIs, and the constraint to the trust
domain comes from looking the roots up by it. EC P-256 with SHA-256 throughout: every
proxy takes it, and its signatures are cheap to check.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = [
    "Signer",
    "Validity",
    "intermediate_certificate",
    "leaf_certificate",
    "new_key",
    "revocation_list",
    "root_certificate",
]

_NO_USAGE: Final = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """From when until when, both included, in whole seconds."""

    start: datetime
    end: datetime


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Signer:
    """A CA certificate with its private key. Has no representation, so no log shows it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh key from the system's randomness."""
    return ec.generate_private_key(ec.SECP256R1())


def root_certificate(
    key: ec.EllipticCurvePrivateKey, trust_domain: str | None, validity: Validity
) -> x509.Certificate:
    """The root: signs intermediates, which sign leaves, and nothing deeper.

    Without a trust domain it is one for DNS identities, and so is all that it signs.
    """
    # The serial number in the name keeps two authorities of one trust domain apart.
    serial = x509.random_serial_number()
    name = _name(f"pdp development root {serial:x}"[:40])
    builder = _signing(name, name, key.public_key(), trust_domain, validity, path_length=1)
    return builder.serial_number(serial).sign(key, hashes.SHA256())


def intermediate_certificate(
    key: ec.EllipticCurvePublicKey, trust_domain: str | None, validity: Validity, issuer: Signer
) -> x509.Certificate:
    """The intermediate: signs leaves only."""
    serial = x509.random_serial_number()
    name = _name(f"pdp development intermediate {serial:x}"[:40])
    builder = _signing(name, issuer.certificate.subject, key, trust_domain, validity, path_length=0)
    builder = builder.add_extension(_authority_key(issuer), critical=False)
    return builder.serial_number(serial).sign(issuer.key, hashes.SHA256())


def leaf_certificate(
    key: ec.EllipticCurvePublicKey,
    common_name: str,
    names: Sequence[x509.GeneralName],
    validity: Validity,
    issuer: Signer,
) -> x509.Certificate:
    """A workload's certificate, for both ends of mutual TLS (X509-SVID, sections 3.1 to 4.4).

    The common name is for people: the identity is the one URI among `names`, or without any the one DNS name.
    """
    usage = x509.KeyUsage(**{**_NO_USAGE, "digital_signature": True})
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = (
        _base(_name(common_name), issuer.certificate.subject, key, validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_authority_key(issuer), critical=False)
    )
    return builder.serial_number(x509.random_serial_number()).sign(issuer.key, hashes.SHA256())


def revocation_list(
    issuer: Signer, entries: Iterable[x509.RevokedCertificate], number: int, validity: Validity
) -> x509.CertificateRevocationList:
    """Everything that an authority has revoked (RFC 5280, section 5.2: both extensions are required)."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(validity.start)
        .next_update(validity.end)
        .add_extension(_authority_key(issuer), critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for entry in entries:
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(issuer.key, hashes.SHA256())


def _signing(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    trust_domain: str | None,
    validity: Validity,
    *,
    path_length: int,
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(**{**_NO_USAGE, "key_cert_sign": True, "crl_sign": True})
    builder = (
        _base(subject, issuer, key, validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
    )
    if trust_domain is None:
        return builder
    domain = x509.UniformResourceIdentifier(f"spiffe://{trust_domain}")  # X509-SVID, section 3.2: no path
    return builder.add_extension(x509.SubjectAlternativeName([domain]), critical=False)


def _base(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, validity: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .not_valid_before(validity.start)
        .not_valid_after(validity.end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _authority_key(issuer: Signer) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
