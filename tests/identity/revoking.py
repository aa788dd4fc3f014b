"""Revocation lists, right or wrong in any one respect."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pdp.identity.crl import RevocationList, read_crl
from tests.identity.mint import DAY, NOW, Party

__all__ = ["crl", "crl_pem"]


def crl_pem(
    issuer: Party,
    *revoked: Party,
    start: datetime = NOW - timedelta(hours=1),
    end: datetime = NOW + DAY,
    extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
    of_entries: Iterable[tuple[x509.ExtensionType, bool]] = (),
    name: x509.Name | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
    digest: hashes.HashAlgorithm = hashes.SHA256(),  # noqa: B008 -- a value
    identified: bool = True,
) -> bytes:
    """A list that `issuer` signs, a right one unless told otherwise."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name or issuer.certificate.subject)
        .last_update(start)
        .next_update(end)
    )
    if identified:
        known = x509.AuthorityKeyIdentifier.from_issuer_public_key((key or issuer.key).public_key())
        builder = builder.add_extension(known, critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
        for extension, critical in of_entries:
            entry = entry.add_extension(extension, critical=critical)
        builder = builder.add_revoked_certificate(entry.revocation_date(start).build())
    return builder.sign(key or issuer.key, digest).public_bytes(Encoding.PEM)


def crl(issuer: Party, *revoked: Party, **what: object) -> RevocationList:
    """The same, as it is read."""
    pem = crl_pem(issuer, *revoked, **what)  # type: ignore[arg-type] -- handed on
    return read_crl(x509.load_pem_x509_crl(pem).public_bytes(Encoding.DER))
