"""Real certificates, right or wrong in any one respect, for the tests of this layer."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2027, 3, 1, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
DOMAIN = "prod.example.org"
WEB = f"spiffe://{DOMAIN}/ns/shop/sa/web"

_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
BOTH_ENDS = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


@dataclass(frozen=True, kw_only=True)
class Party:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def usage(*names: str) -> x509.KeyUsage:
    assert set(names) <= set(_USAGES)
    return x509.KeyUsage(**{name: name in names for name in _USAGES})


def authority(
    name: str,
    issuer: Party | None = None,
    *,
    uris: Iterable[str] = (),
    start: datetime = NOW - DAY,
    end: datetime = NOW + 30 * DAY,
    basic: x509.BasicConstraints | None = x509.BasicConstraints(ca=True, path_length=None),  # noqa: B008 -- a value
    key_usage: x509.KeyUsage | None = usage("key_cert_sign", "crl_sign"),  # noqa: B008 -- a value
    extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Party:
    """A signing certificate; a root without `issuer`. None leaves an extension out."""
    extensions = [*extra, *_names(uris, (), ())]
    if basic is not None:
        extensions.append((basic, True))
    if key_usage is not None:
        extensions.append((key_usage, True))
    return _sign(name, issuer, start, end, extensions, key)


def leaf(
    issuer: Party | None,
    *,
    uris: Iterable[str] = (WEB,),
    dns: Iterable[str] = (),
    ips: Iterable[str] = (),
    name: str = "leaf",
    start: datetime = NOW - timedelta(hours=1),
    end: datetime = NOW + DAY,
    basic: x509.BasicConstraints | None = x509.BasicConstraints(ca=False, path_length=None),  # noqa: B008 -- a value
    key_usage: x509.KeyUsage | None = usage("digital_signature"),  # noqa: B008 -- a value
    key_usage_critical: bool = True,
    purposes: Iterable[x509.ObjectIdentifier] | None = BOTH_ENDS,
    extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Party:
    """A workload's certificate, a right one unless told otherwise."""
    extensions = [*extra, *_names(uris, dns, ips)]
    if basic is not None:
        extensions.append((basic, True))
    if key_usage is not None:
        extensions.append((key_usage, key_usage_critical))
    if purposes is not None:
        extensions.append((x509.ExtendedKeyUsage(list(purposes)), False))
    return _sign(name, issuer, start, end, extensions, key)


def _names(
    uris: Iterable[str], dns: Iterable[str], ips: Iterable[str]
) -> list[tuple[x509.ExtensionType, bool]]:
    names = [
        *(x509.UniformResourceIdentifier(uri) for uri in uris),
        *(x509.DNSName(host) for host in dns),
        *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips),
    ]
    return [(x509.SubjectAlternativeName(names), False)] if names else []


def _sign(
    name: str,
    issuer: Party | None,
    start: datetime,
    end: datetime,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
    key: ec.EllipticCurvePrivateKey | None,
) -> Party:
    key = key or ec.generate_private_key(ec.SECP256R1())
    signing_key = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(name))
        .issuer_name(issuer.certificate.subject if issuer else common_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    identifiers: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), False),
    ]
    # What a test adds replaces what is there by default.
    given = {extension.oid: (extension, critical) for extension, critical in [*identifiers, *extensions]}
    given |= {e.oid: (e, c) for e, c in extensions if isinstance(e, x509.UnrecognizedExtension)}
    for extension, critical in given.values():
        builder = builder.add_extension(extension, critical=critical)
    return Party(certificate=builder.sign(signing_key, hashes.SHA256()), key=key)


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
