"""The peer that Envoy names when it asks over gRPC, held against the certificate that it sends along.

`source.principal` is the first URI of the peer's certificate, else its first DNS name, else its subject, with
bytes that are no UTF-8 replaced (Envoy, `attribute_context.proto`, and
`source/extensions/filters/common/ext_authz/check_request_utils.cc`). So it hides that there are several.
`source.certificate`, percent-encoded PEM of the leaf, is there with `include_peer_certificate`.
"""

from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from pdp.identity.certificates import CertificateTextError, dns_names, read_pem, serial_text, uris
from pdp.identity.forwarded.refusal import ForwardedError, ForwardedFault
from pdp.limits import MAX_HEAD_BYTES, MAX_PRINCIPALS_REMEMBERED
from pdp.principals import InvalidIdentityError, Principal, dns_principal, spiffe_principal

__all__ = ["Peer", "peer_named"]

_SPIFFE: Final = "spiffe://"
_KEPT: Final = 512  # certificates of clients, as text: some kilobytes each


class Peer(NamedTuple):
    """Whom Envoy names.

    Attributes:
        principal: The workload.
        serial: Of its certificate; empty where that was not sent.
        not_after: The last instant at which that is valid, in seconds; None where it was not sent.
    """

    principal: Principal
    serial: str = ""
    not_after: float | None = None


def peer_named(principal: str, certificate: str) -> Peer | None:
    """The peer that Envoy names, or None where it names nobody.

    Args:
        principal: `source.principal`.
        certificate: `source.certificate`.

    Raises:
        ForwardedError: It names nobody that can be told: the certificate says otherwise, or several things.
    """
    if not principal and not certificate:
        return None
    if len(principal) + len(certificate) > MAX_HEAD_BYTES:
        raise _invalid(f"it has more than {MAX_HEAD_BYTES} characters")
    if certificate:
        names, peer = _leaf(certificate)
        if principal != names:
            raise _invalid("it is not the name in `source.certificate`")
        return peer
    if not principal.startswith(_SPIFFE):
        # A DNS name hides that there are others, and a subject is no identity.
        raise _invalid("it is no SPIFFE ID, which needs `source.certificate` beside it")
    return Peer(_spiffe(principal))


@lru_cache(maxsize=_KEPT)
def _leaf(text: str) -> tuple[str, Peer]:
    """The one name on a certificate, as Envoy writes it, and whose it is."""
    try:
        found = read_pem(unquote_to_bytes(text))
    except CertificateTextError:
        raise _invalid("`source.certificate` is not a certificate") from None
    if len(found) != 1:
        raise _invalid("`source.certificate` is more than one certificate")
    leaf = found[0]
    ids, names = uris(leaf), dns_names(leaf)
    if len(ids) > 1:  # X509-SVID, section 2: MUST be rejected
        raise _invalid("`source.certificate` has several URIs")
    if not ids and len(names) != 1:
        raise _invalid("`source.certificate` has no URI, and not exactly one DNS name")
    named = ids[0] if ids else names[0]
    principal = _spiffe(named) if ids else _dns(named)
    return named, Peer(principal, serial_text(leaf.serial_number), leaf.not_valid_after_utc.timestamp())


@lru_cache(maxsize=MAX_PRINCIPALS_REMEMBERED)  # a workload calls more than once
def _spiffe(text: str) -> Principal:
    try:
        return spiffe_principal(text)
    except InvalidIdentityError as error:
        raise _invalid(f"it is not the SPIFFE ID of a workload: {error}") from error


def _dns(text: str) -> Principal:
    try:
        return dns_principal(text)
    except InvalidIdentityError as error:
        raise _invalid(f"the DNS name is not an identity: {error}") from error


def _invalid(why: str) -> ForwardedError:
    return ForwardedError(ForwardedFault.INVALID, f"`source.principal` is refused: {why}")
