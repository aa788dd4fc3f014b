"""Certificate revocation lists: what an authority has revoked, read and checked as far as they stand alone.

This module holds one list and the reading of PEM files of them. Whether a list is its authority's, and what
it says of a chain at an instant, is the business of `pdp.identity.revocation`.

Only complete lists of one authority are read. What narrows or moves the scope of a list (RFC 5280, section
5.2.5: issuing distribution points, indirect lists; section 5.2.4: delta lists) refuses it: who took a part
for the whole would let revoked certificates pass.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final, final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from pdp.diagnostics import escape
from pdp.limits import CRL_LEEWAY_SECONDS, MAX_CRLS

__all__ = ["CrlError", "RevocationList", "crls_in", "read_crl"]

_BEGIN: Final = b"-----BEGIN X509 CRL-----"
_BLOCK: Final = re.compile(rb"-----BEGIN X509 CRL-----[^-]*-----END X509 CRL-----")
#: What is understood, critical or not: neither changes what the list is about.
_UNDERSTOOD: Final = frozenset({ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.CRL_NUMBER})
#: What is refused even where it is not critical, as these have to be: each makes the list a part of one.
_PARTIAL: Final = MappingProxyType(
    {
        ExtensionOID.ISSUING_DISTRIBUTION_POINT: "an issuing distribution point",
        ExtensionOID.DELTA_CRL_INDICATOR: "a delta indicator",
    }
)
_DIGESTS: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class CrlError(ValueError):
    """A revocation list that cannot be used; the message says why."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """One list. Immutable, but for what is remembered of it; equal exactly when the contents are.

    Attributes:
        fingerprint: SHA-256 of its DER, lower-case hexadecimal.
        parsed: The list itself, for its signature.
        issuer: Whose it says that it is.
        this_update: From when it holds.
        next_update: Until when, that instant included: by then there is a newer one.
        authority_key: The identifier of the key that signed it, if it says which.
        revoked: Serial numbers.
        signed_by: Whether authorities of its issuer's name have made it, by the fingerprint of their
            certificate, as far as that was asked (`pdp.identity.revocation`).
    """

    fingerprint: str
    parsed: x509.CertificateRevocationList = field(compare=False, repr=False)
    issuer: x509.Name = field(compare=False)
    this_update: datetime = field(compare=False)
    next_update: datetime = field(compare=False)
    authority_key: bytes | None = field(compare=False)
    revoked: frozenset[int] = field(compare=False, repr=False)
    signed_by: dict[str, bool] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def begins(self) -> datetime:
        """From when it counts: a little earlier, since what is revoked then is no less so before."""
        return self.this_update - timedelta(seconds=CRL_LEEWAY_SECONDS)

    @property
    def der(self) -> bytes:
        """The list as it is handed on."""
        return self.parsed.public_bytes(Encoding.DER)

    @property
    def shown(self) -> str:
        """Its issuer, safe to print and short enough for a log line."""
        return escape(self.issuer.rfc4514_string() or "(no name)")[:120]


def crls_in(data: bytes, path: Path) -> tuple[RevocationList, ...]:
    """Every list of a PEM file, without repetitions.

    Args:
        data: The content.
        path: Where it was read, to be named.

    Raises:
        CrlError: There is none, or one cannot be used.
    """
    blocks = _BLOCK.findall(data)
    if not data.count(_BEGIN):
        raise CrlError(f"{escape(str(path))}: there is no revocation list in it (expected PEM text)")
    if len(blocks) != data.count(_BEGIN):
        raise CrlError(f"{escape(str(path))}: a revocation list in it has a beginning and no end")
    if len(blocks) > MAX_CRLS:
        raise CrlError(f"{escape(str(path))}: {len(blocks)} revocation lists: at most {MAX_CRLS} are read")
    found = []
    for number, block in enumerate(blocks, start=1):
        try:
            found.append(read_crl(_der(block)))
        except CrlError as error:
            raise CrlError(f"{escape(str(path))}: revocation list {number} in it {error}") from error
    return tuple(dict.fromkeys(found))


def read_crl(der: bytes) -> RevocationList:
    """One list, in DER.

    Raises:
        CrlError: It cannot be used; the message goes on from "the list".
    """
    try:
        parsed = x509.load_der_x509_crl(der)
        return _read(parsed, der)
    except CrlError:
        raise
    except Exception as error:  # whatever the parsers raise, much of it lazily
        raise CrlError("is malformed") from error


def _der(block: bytes) -> bytes:
    try:
        return x509.load_pem_x509_crl(block).public_bytes(Encoding.DER)
    except Exception as error:
        raise CrlError("is malformed") from error


def _read(parsed: x509.CertificateRevocationList, der: bytes) -> RevocationList:
    _check_extensions(parsed.extensions)
    digest = parsed.signature_hash_algorithm  # None where the kind of key has its own
    if digest is not None and not isinstance(digest, _DIGESTS):
        raise CrlError("is signed with a digest that is too weak or unknown")
    if parsed.next_update_utc is None:  # RFC 5280, section 5.1.2.5: MUST be there
        raise CrlError("does not say until when it holds (nextUpdate)")
    if parsed.next_update_utc < parsed.last_update_utc:
        raise CrlError("ends before it begins")
    return RevocationList(
        fingerprint=sha256(der).hexdigest(),
        parsed=parsed,
        issuer=parsed.issuer,
        this_update=parsed.last_update_utc,
        next_update=parsed.next_update_utc,
        authority_key=_authority_key(parsed),
        revoked=frozenset(_serials(parsed)),
    )


def _authority_key(parsed: x509.CertificateRevocationList) -> bytes | None:
    try:
        return parsed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None


def _serials(parsed: x509.CertificateRevocationList) -> Iterable[int]:
    for entry in parsed:
        # RFC 5280, section 5.3: an entry with what we do not know and must know refuses the list. The one
        # that is known to be critical moves the entry to another authority: an indirect list.
        if any(each.critical for each in entry.extensions):
            raise CrlError("has an entry with a critical extension, which is not understood")
        yield entry.serial_number


def _check_extensions(extensions: x509.Extensions) -> None:
    for each in extensions:
        if each.oid in _PARTIAL:
            raise CrlError(f"is a part of one: it has {_PARTIAL[each.oid]}, and only complete lists are read")
        if each.critical and each.oid not in _UNDERSTOOD:  # RFC 5280, section 5.2
            raise CrlError(f"has the critical extension {each.oid.dotted_string}, which is not understood")
