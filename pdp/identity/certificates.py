"""Reading one certificate: what it says of itself.

This module holds questions to a single certificate, and the reading of PEM text.
Whether a chain leads to somebody we trust is asked in `pdp.identity.x509`, whom we
trust in `pdp.identity.trust`.
"""

import re
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pdp.diagnostics import escape
from pdp.limits import MAX_CHAIN_CERTIFICATES

__all__ = [
    "CertificateTextError",
    "all_names",
    "dns_names",
    "fingerprint",
    "handshake_fault",
    "is_authority",
    "key_of",
    "presented_chain",
    "read_der",
    "read_ders",
    "read_pem",
    "serial_text",
    "shown",
    "signing_fault",
    "uris",
]

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


class CertificateTextError(ValueError):
    """PEM text that does not hold what it should; the message says which part."""


def read_pem(data: bytes) -> tuple[x509.Certificate, ...]:
    """Every certificate of a PEM file, in order, each fully parsed.

    Raises:
        CertificateTextError: There is none, one is cut short or malformed, or a private
            key lies among them.
    """
    if b"PRIVATE KEY-----" in data:
        raise CertificateTextError("there is a private key in it: this file holds certificates only")
    blocks = _BLOCK.findall(data)
    if not data.count(_BEGIN):
        raise CertificateTextError("there is no certificate in it (expected PEM text)")
    if len(blocks) != data.count(_BEGIN):
        raise CertificateTextError("a certificate in it has a beginning and no end")
    return tuple(_read_block(block, number) for number, block in enumerate(blocks, start=1))


def presented_chain(data: bytes) -> tuple[bytes, list[bytes]]:
    """The leaf of a PEM text and the certificates behind it, in DER, as somebody presents them.

    Raises:
        CertificateTextError: As `read_pem`, or there are more than anybody needs.
    """
    if data.count(_BEGIN) > MAX_CHAIN_CERTIFICATES:  # before any is parsed
        msg = f"there are more than {MAX_CHAIN_CERTIFICATES} certificates in it"
        raise CertificateTextError(msg)
    leaf, *others = (each.public_bytes(Encoding.DER) for each in read_pem(data))
    return leaf, others


def read_der(data: bytes, number: int) -> x509.Certificate:
    """A certificate in DER, fully parsed.

    Args:
        data: The certificate.
        number: Which of several it is, for what is said of it.

    Raises:
        CertificateTextError: It is malformed.
    """
    return _read(x509.load_der_x509_certificate, data, number)


def read_ders(data: bytes, most: int) -> tuple[x509.Certificate, ...]:
    """Certificates in DER, one right behind the other, each fully parsed.

    Args:
        data: The certificates; there may be none.
        most: How many there may be.

    Raises:
        CertificateTextError: There are more, one is malformed, or something else lies between them.
    """
    found: list[x509.Certificate] = []
    at = 0
    while at < len(data):
        if len(found) == most:  # before it is parsed
            msg = f"there are more than {most} certificates in it"
            raise CertificateTextError(msg)
        end = at + _der_length(data[at : at + 6], len(found) + 1)
        found.append(read_der(data[at:end], len(found) + 1))
        at = end
    return tuple(found)


def _der_length(head: bytes, number: int) -> int:
    """How long a SEQUENCE is that begins like this, tag and length included (X.690, section 8.1.3)."""
    long = head[1] - 0x80 if len(head) > 1 and head[1] > 0x80 else 0
    if len(head) < 2 + long or head[0] != 0x30 or head[1] == 0x80 or long > 4:
        msg = f"certificate {number} in it is malformed"
        raise CertificateTextError(msg)
    return 2 + long + (int.from_bytes(head[2 : 2 + long]) if long else head[1])


def _read_block(block: bytes, number: int) -> x509.Certificate:
    return _read(x509.load_pem_x509_certificate, block, number)


def _read(load: Callable[[bytes], x509.Certificate], data: bytes, number: int) -> x509.Certificate:
    try:
        certificate = load(data)
        _parse_all(certificate)
    except BaseException as error:
        # Whatever the parsers raise: several are not even a `ValueError`, and a panic in the library's Rust
        # half is not even an `Exception`.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        msg = f"certificate {number} in it is malformed"
        raise CertificateTextError(msg) from error
    return certificate


def _parse_all(certificate: x509.Certificate) -> None:
    """Have every part parsed that is asked for later: find out now, not at the first handshake."""
    _ = certificate.extensions
    for name in (certificate.subject, certificate.issuer):
        name.rfc4514_string()
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    certificate.public_key()
    all_names(certificate)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER, lower-case hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def key_of(certificate: x509.Certificate) -> bytes:
    """Its public key, in DER: a renewed certificate of the same key has the same."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def serial_text(serial: int) -> str:
    """A serial number as people write it: lower-case hexadecimal, in whole bytes."""
    text = f"{serial:x}"
    return text if len(text) % 2 == 0 else f"0{text}"


def shown(certificate: x509.Certificate) -> str:
    """A certificate's subject, safe to print and short enough for a log line."""
    return escape(certificate.subject.rfc4514_string() or "(no subject)")[:120]


def uris(certificate: x509.Certificate) -> tuple[str, ...]:
    """The URIs among the subject alternative names."""
    return tuple(_alternative_names(certificate).get_values_for_type(x509.UniformResourceIdentifier))


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names among the subject alternative names."""
    return tuple(_alternative_names(certificate).get_values_for_type(x509.DNSName))


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it says that it is a CA certificate."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False  # RFC 5280, section 4.2.1.9: then it is not one


def all_names(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    """The subject alternative names, in order."""
    return tuple(_alternative_names(certificate))


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def signing_fault(certificate: x509.Certificate, trust_domain: str | None) -> str | None:
    """Why a certificate may not sign for a trust domain, or None if it may.

    Args:
        certificate: A root or an intermediate.
        trust_domain: The trust domain, or None for the authority of DNS identities.
    """
    extensions = certificate.extensions
    try:
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return "it is not a CA certificate"
    except x509.ExtensionNotFound:
        return "it is not a CA certificate: it has no basic constraints"
    try:
        if not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign:
            return "its key usage does not allow signing certificates"
    except x509.ExtensionNotFound:
        return "it has no key usage"  # X509-SVID, section 4.3: MUST be set
    # X509-SVID, section 3.2: the ID of a signing certificate has no path, and stands for
    # its own trust domain. A workload's ID on it would make the workload an authority.
    allowed = set() if trust_domain is None else {f"spiffe://{trust_domain}"}
    if not allowed.issuperset(uris(certificate)):
        if trust_domain is None:
            return "it has a URI: an authority for DNS identities has none"
        return f"its URI is not `spiffe://{trust_domain}`, the trust domain without a path"
    return None


def handshake_fault(certificate: x509.Certificate) -> str | None:
    """Why OpenSSL takes no such root, by which handshakes begin, or None if it does.

    Its parser is another one than ours, and refuses names that ours reads.
    """
    der = certificate.public_bytes(Encoding.DER)
    return None if _is_loaded(der) else "OpenSSL does not read it"


@lru_cache(maxsize=1024)
def _is_loaded(der: bytes) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ssl.SSLError, ValueError):
        return False
    return True
