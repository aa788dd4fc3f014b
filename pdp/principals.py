"""Typed identities: what a principal, and the identity of a caller, can be.

This module holds the identity types and the one parser of SPIFFE IDs. How evidence
(certificates, tokens) becomes an identity is the business of `pdp.identity`; which
identities a rule means is the business of `pdp.compiler.patterns`.

INVARIANT: `Principal.id` is canonical and names exactly one identity across all kinds:
a SPIFFE ID begins with `spiffe://`, a DNS identity with `dns:`, and `anonymous` has
neither. Two principals are equal exactly when their ids are.
"""

import re
from enum import Enum
from typing import Final

import msgspec

from pdp.limits import MAX_SPIFFE_ID_BYTES, MAX_TRUST_DOMAIN_BYTES

__all__ = [
    "ANONYMOUS",
    "InvalidIdentityError",
    "Principal",
    "PrincipalKind",
    "dns_principal",
    "parse_spiffe_id",
    "spiffe_principal",
]

# SPIFFE-ID sections 2.1 to 2.3: lower-case scheme and trust domain, no port, no user
# information, no percent-encoding, no empty or dot segment, no trailing slash.
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]+", re.ASCII)
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_DNS_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_SCHEME: Final = "spiffe://"


class InvalidIdentityError(ValueError):
    """Text that is not the identity it was given as; the message says which rule it breaks."""


class PrincipalKind(Enum):
    """The forms an identity takes."""

    SPIFFE = "spiffe"
    DNS = "dns"
    ANONYMOUS = "anonymous"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The workload a question is about.

    Attributes:
        kind: Which form of identity it is.
        id: Canonical text, unique across kinds.
        trust_domain: The SPIFFE trust domain; empty for the other kinds.
        segments: The SPIFFE path, or the DNS labels, as a tuple.
    """

    kind: PrincipalKind
    id: str
    trust_domain: str
    segments: tuple[str, ...]

    def __eq__(self, other: object) -> bool:
        return self.__class__ is other.__class__ and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


ANONYMOUS: Final = Principal(kind=PrincipalKind.ANONYMOUS, id="anonymous", trust_domain="", segments=())


def spiffe_principal(text: str) -> Principal:
    """Parse a SPIFFE ID of a workload, byte for byte (SPIFFE-ID, section 2).

    Raises:
        InvalidIdentityError: `text` is not a SPIFFE ID, or names a trust domain only.
    """
    trust_domain, segments = parse_spiffe_id(text)
    if not segments:
        raise InvalidIdentityError("the ID names a trust domain, not a workload: it has no path")
    return Principal(kind=PrincipalKind.SPIFFE, id=text, trust_domain=trust_domain, segments=segments)


def parse_spiffe_id(text: str) -> tuple[str, tuple[str, ...]]:
    """The trust domain and the path's segments of a SPIFFE ID; without a path it is a trust domain's.

    Raises:
        InvalidIdentityError: `text` is not a SPIFFE ID.
    """
    if len(text) > MAX_SPIFFE_ID_BYTES:
        msg = f"a SPIFFE ID has at most {MAX_SPIFFE_ID_BYTES} bytes"
        raise InvalidIdentityError(msg)
    if not text.startswith(_SCHEME):
        raise InvalidIdentityError("a SPIFFE ID begins with `spiffe://`, in lower case")
    trust_domain, slash, path = text[len(_SCHEME) :].partition("/")
    if len(trust_domain) > MAX_TRUST_DOMAIN_BYTES:
        msg = f"a trust domain has at most {MAX_TRUST_DOMAIN_BYTES} bytes"
        raise InvalidIdentityError(msg)
    if not _TRUST_DOMAIN.fullmatch(trust_domain):
        raise InvalidIdentityError("a trust domain is made of lower-case letters, digits, `.`, `-` and `_`")
    segments = tuple(path.split("/")) if slash else ()
    for segment in segments:
        _check_segment(segment)
    return trust_domain, segments


def _check_segment(segment: str) -> None:
    if not segment:
        raise InvalidIdentityError("the path has an empty segment or ends with `/`")
    if segment in {".", ".."}:
        raise InvalidIdentityError("the path has a dot segment")
    if not _SEGMENT.fullmatch(segment):
        raise InvalidIdentityError("a path segment is made of letters, digits, `.`, `-` and `_`")


def dns_principal(text: str) -> Principal:
    """Parse a DNS name as an identity: lower-cased, one trailing dot dropped, no wildcard.

    Raises:
        InvalidIdentityError: `text` is not a host name.
    """
    name = text.lower().removesuffix(".")
    labels = tuple(name.split("."))
    # Lower-casing reaches beyond ASCII: the Kelvin sign would become `k`, and one name another's.
    if not text.isascii() or len(name) > 253 or not all(_DNS_LABEL.fullmatch(label) for label in labels):
        raise InvalidIdentityError(
            "a DNS identity is a host name: labels of letters, digits and `-`, joined by dots"
        )
    return Principal(kind=PrincipalKind.DNS, id=f"dns:{name}", trust_domain="", segments=labels)
