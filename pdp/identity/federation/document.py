"""A trust domain's bundle as a document: the roots of its certificates and the keys of its tokens.

SPIFFE Trust Domain and Bundle, section 4; X509-SVID and JWT-SVID, section 6. The keys of tokens are read
by `pdp.identity.tokens.jwks`, what a root has to be is said by `pdp.identity.bundle`. Whose a document is
does not stand in it: that is the business of `pdp.identity.federation.endpoint`.

An entry of a kind that we do not know is ignored, as the standard has it. A root that is broken refuses the
document: without it we would serve half of what its publisher means.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pdp.identity.bundle import SpiffeBundle
from pdp.identity.certificates import read_der
from pdp.identity.tokens.base64url import encode_base64url
from pdp.identity.tokens.jwks import IgnoredKey, KeySet, KeySetError, KeySetKind, key_set
from pdp.identity.trust import TrustError, TrustStore
from pdp.limits import MAX_CERTIFICATE_BYTES, MAX_TRUST_FILE_BYTES
from pdp.strictness import BadJsonError, quoted, strict_value

__all__ = ["BundleDocument", "BundleDocumentError", "read_bundle_document"]

_USE: Final = "x509-svid"
_KEY_TYPES: Final = frozenset({"RSA", "EC"})  # of authorities: the path builder takes no others
_CURVES: Final = MappingProxyType({"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"})


class BundleDocumentError(ValueError):
    """A bundle that is refused as a whole; the message says which rule it breaks."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BundleDocument:
    """A bundle, and what is said about it. Immutable.

    Attributes:
        bundle: What proves the identities of its trust domain.
        sequence: Which edition it is; None where it does not say.
        refresh_hint: After how many seconds it should be looked at again; None where it does not say.
        ignored: What else was in it.
        digest: SHA-256 of roots and keys, hexadecimal: the same exactly when both are.
    """

    bundle: SpiffeBundle
    sequence: int | None = None
    refresh_hint: int | None = None
    ignored: tuple[IgnoredKey, ...] = ()
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        said = f"{self.trust.digest}\n{self.bundle.keys.digest}"
        object.__setattr__(self, "digest", hashlib.sha256(said.encode()).hexdigest())

    @property
    def trust(self) -> TrustStore:
        """The roots of its trust domain, and nobody else's."""
        return TrustStore(domains={self.bundle.trust_domain: self.bundle.roots})


def read_bundle_document(data: bytes, trust_domain: str) -> BundleDocument:
    """Read a bundle document.

    Args:
        data: The document.
        trust_domain: Whose it is; nothing in it says so.

    Raises:
        BundleDocumentError: It is not strict JSON or no bundle, holds a secret, or a root that may not sign.
    """
    if len(data) > MAX_TRUST_FILE_BYTES:
        msg = f"the bundle has more than {MAX_TRUST_FILE_BYTES} bytes"
        raise BundleDocumentError(msg)
    try:
        value = strict_value(data, "the bundle")
        keys = key_set(value, KeySetKind.BUNDLE)
        roots, strange = _roots(value["keys"])
        bundle = SpiffeBundle(trust_domain=trust_domain, roots=roots, keys=keys)
    except BadJsonError as error:
        raise BundleDocumentError(error.message) from error
    except (KeySetError, TrustError) as error:
        raise BundleDocumentError(str(error)) from error
    return BundleDocument(
        bundle=bundle,
        sequence=value.get("spiffe_sequence"),
        refresh_hint=value.get("spiffe_refresh_hint"),
        ignored=_ignored(value["keys"], keys, strange),
    )


def _ignored(
    entries: list[dict[str, Any]], keys: KeySet, strange: Mapping[int, str]
) -> tuple[IgnoredKey, ...]:
    """What is neither a key of tokens nor a root, in the order of the document."""
    found = [each for each in keys.ignored if entries[each.number - 1].get("use") != _USE]
    found += [IgnoredKey(number=number, key_id=None, why=why) for number, why in strange.items()]
    return tuple(sorted(found, key=lambda each: each.number))


# -- roots -----------------------------------------------------------------------------


def _roots(entries: list[dict[str, Any]]) -> tuple[tuple[x509.Certificate, ...], dict[int, str]]:
    """The roots, and why entries are none that say they are."""
    roots: list[x509.Certificate] = []
    strange: dict[int, str] = {}
    for number, entry in enumerate(entries, start=1):
        if entry.get("use") != _USE:
            continue
        kty = entry.get("kty")
        if not isinstance(kty, str) or kty not in _KEY_TYPES:
            # Section 4.2.1: MUST be ignored.
            said = quoted(kty) if isinstance(kty, str) else "no text"
            strange[number] = f"its `kty` is {said}: of certificates RSA and EC are used"
            continue
        try:
            roots.append(_root(entry))
        except ValueError as error:
            msg = f"key {number} of the bundle cannot be a root: {error}"
            raise BundleDocumentError(msg) from error
    return tuple(roots), strange


def _root(entry: Mapping[str, Any]) -> x509.Certificate:
    """The certificate of an entry; raises ValueError."""
    match entry.get("x5c"):
        case [str() as encoded]:
            certificate = _certificate(encoded)
        case _:  # X509-SVID, section 6.1: a second one would be ignored by some, and trusted by others
            raise ValueError("its `x5c` is not a list of exactly one certificate")
    for name, text in _members(certificate).items():
        # RFC 7517, section 4.7: the key of the certificate MUST be the one that the other members say.
        if entry.get(name) != text:
            raise ValueError(f"its `{name}` is not that of the key in its certificate")
    return certificate


def _certificate(text: str) -> x509.Certificate:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("its certificate is not base64 as `x5c` has it") from None
    if base64.b64encode(data).decode("ascii") != text:  # bits left over
        raise ValueError("its certificate is not the canonical base64 of anything")
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise ValueError(f"its certificate has more than {MAX_CERTIFICATE_BYTES} bytes")
    return read_der(data, 1)


def _members(certificate: x509.Certificate) -> Mapping[str, str]:
    """The members of a JWK that say a certificate's key: RFC 7518, sections 6.2.1 and 6.3.1."""
    match certificate.public_key():
        case rsa.RSAPublicKey() as key:
            numbers = key.public_numbers()
            return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        case ec.EllipticCurvePublicKey(curve=curve) as key if curve.name in _CURVES:
            size = (curve.key_size + 7) // 8
            point = key.public_numbers()
            x, y = _number(point.x, size), _number(point.y, size)
            return {"kty": "EC", "crv": _CURVES[curve.name], "x": x, "y": y}
        case _:
            raise ValueError("the key in its certificate is of no kind that is used")


def _number(value: int, size: int = 0) -> str:
    return encode_base64url(value.to_bytes(size or (value.bit_length() + 7) // 8))
