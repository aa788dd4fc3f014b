"""What an agent delivers over the SPIFFE Workload API, read strictly: our certificate, roots, keys.

The agent is trusted to say whom we believe, and can be wrong all the same. Everything is read by the very
rules that hold for files, and one part that is bad refuses that part alone. How the messages come is the
business of `pdp.adapters.grpc.workload_api`, what becomes of them that of `pdp.process.workload_api`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from pdp.diagnostics import escape
from pdp.identity.bundle import SpiffeBundle
from pdp.identity.certificates import CertificateTextError, read_ders
from pdp.identity.tokens.jwks import KeySet, KeySetError, KeySetKind, read_key_set
from pdp.identity.trust import TrustError, check_trust_domain
from pdp.identity.x509 import UntrustedCertificateError, svid_identity
from pdp.limits import MAX_CHAIN_CERTIFICATES, MAX_ROOTS_PER_TRUST_DOMAIN, MAX_TRUST_FILE_BYTES

__all__ = ["BadDeliveryError", "DeliveredSvid", "Svid", "by_domain", "read_keys", "read_roots", "read_svid"]

_SCHEME: Final = "spiffe://"
_SHOWN_CHARS: Final = 80


class BadDeliveryError(ValueError):
    """What an agent delivered and is not taken; the message says what is wrong with it."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredSvid:
    """An X.509-SVID as it was delivered, unread (Workload API, section 5.2.1); the key is not shown.

    Attributes:
        spiffe_id: Whose it is said to be.
        chain: Certificates in DER, one behind the other, the leaf first.
        key: The private key, PKCS #8 in DER.
    """

    spiffe_id: str
    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Svid:
    """An X.509-SVID that was read.

    Attributes:
        spiffe_id: Whose it is.
        chain: Its certificates, PEM, the leaf first.
        key: Its private key, PEM.
    """

    spiffe_id: str
    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)


def read_svid(delivered: Sequence[DeliveredSvid], spiffe_id: str | None) -> Svid:
    """One of the X.509-SVIDs that were delivered. Whether the key fits is left to whoever presents it.

    Args:
        delivered: All of them.
        spiffe_id: Whose to take; None for the default, which is the first (Workload API, section 5.3).

    Raises:
        BadDeliveryError: There is no such one, or it is not what it should be.
    """
    found = next((each for each in delivered if spiffe_id in {None, each.spiffe_id}), None)
    if found is None:
        whose = "no X.509-SVID" if spiffe_id is None else f"no X.509-SVID of `{spiffe_id}`"
        raise BadDeliveryError(f"there is {whose} among the {len(delivered)} that were delivered")
    try:
        chain = read_ders(found.chain, MAX_CHAIN_CERTIFICATES)
        if not chain:
            raise BadDeliveryError("the X.509-SVID has no certificate")
        identity = svid_identity(chain[0])
    except (CertificateTextError, UntrustedCertificateError) as error:
        raise BadDeliveryError(f"the X.509-SVID is not taken: {error}") from error
    if identity.id != found.spiffe_id:
        message = f"the X.509-SVID of `{identity.id}` was delivered as that of `{_shown(found.spiffe_id)}`"
        raise BadDeliveryError(message)
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    return Svid(spiffe_id=identity.id, chain=pem, key=_key(found.key))


def _key(der: bytes) -> bytes:
    try:
        key = load_der_private_key(der, None)
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    except Exception:  # noqa: BLE001 -- whatever the parser raises, and nothing of it is shown: it is a secret
        raise BadDeliveryError(
            "the X.509-SVID is not taken: its key is not PKCS #8, or is encrypted"
        ) from None


def by_domain(bundles: Mapping[str, bytes]) -> tuple[Mapping[str, bytes], tuple[str, ...]]:
    """Bundles by the name of their trust domain, which an agent names by its ID; and names that are none.

    What is under another name is nobody's, and keeps nothing else from being taken: a withdrawal perhaps.
    """
    found = {given.removeprefix(_SCHEME): content for given, content in bundles.items() if _is_id(given)}
    return found, tuple(_shown(given) for given in bundles if not _is_id(given))


def _is_id(given: str) -> bool:
    try:
        check_trust_domain(given.removeprefix(_SCHEME))
    except TrustError:
        return False
    return given.startswith(_SCHEME)


def read_roots(trust_domain: str, content: bytes) -> SpiffeBundle:
    """The roots of one trust domain, in a bundle without keys; of nothing, none: that revokes all.

    Raises:
        BadDeliveryError: Something in it is malformed, or may not sign for the trust domain.
    """
    try:
        _check_size(content)
        roots = read_ders(content, MAX_ROOTS_PER_TRUST_DOMAIN)
        return SpiffeBundle(trust_domain=trust_domain, roots=roots, keys=KeySet(keys=()))
    except (CertificateTextError, TrustError) as error:
        raise BadDeliveryError(f"the roots of `{trust_domain}`: {error}") from error


def read_keys(trust_domain: str, content: bytes) -> KeySet:
    """The keys by which JWT-SVIDs of one trust domain are verified.

    Raises:
        BadDeliveryError: It is no key set, or holds a secret.
    """
    try:
        _check_size(content)
        return read_key_set(content, KeySetKind.DELIVERED)
    except (CertificateTextError, KeySetError) as error:
        raise BadDeliveryError(f"the keys of `{trust_domain}`: {error}") from error


def _check_size(content: bytes) -> None:
    if len(content) > MAX_TRUST_FILE_BYTES:
        raise CertificateTextError(f"there are more than {MAX_TRUST_FILE_BYTES} bytes")


def _shown(text: str) -> str:
    return escape(text)[:_SHOWN_CHARS]
