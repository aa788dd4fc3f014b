"""Principals and users: patterns of them, and sets.

How a pattern was written is kept beside what it means, so that a file can be printed again.
"""

from enum import Enum
from typing import TypeAlias, final

from pdp.diagnostics import Span
from pdp.lang.ast.nodes import Node
from pdp.lang.ast.segments import Name, Segment

__all__ = [
    "AnyAuthenticated",
    "AnyPrincipalOf",
    "Anyone",
    "DnsPattern",
    "GroupRef",
    "PrincipalPattern",
    "PrincipalSet",
    "PrincipalTerm",
    "SpiffeForm",
    "UserKind",
    "UserPattern",
]


class SpiffeForm(Enum):
    """How a SPIFFE pattern was written; the meaning is in its segments."""

    PATH = "path"  # prod/ns/web/sa/frontend
    SERVICE_ACCOUNT = "sa"  # sa prod/web/frontend
    NAMESPACE = "namespace"  # namespace prod/web
    URI = "uri"  # "spiffe://prod.example.org/ns/web/sa/frontend"


@final
class PrincipalPattern(Node, frozen=True, kw_only=True):
    """SPIFFE IDs of a trust domain by their path.

    `trust_domain` is an alias from a `trust domain` statement, the domain itself where it is
    `written_out` (the form is `URI`), or `*` for every trust domain.
    """

    trust_domain: str
    segments: tuple[Segment, ...]
    written_out: bool = False
    form: SpiffeForm = SpiffeForm.PATH
    span: Span


@final
class DnsPattern(Node, frozen=True, kw_only=True):
    """`dns db.example.org` or `dns *.example.org`: one DNS identity, or one label more."""

    name: str
    span: Span


@final
class AnyPrincipalOf(Node, frozen=True, kw_only=True):
    """`any principal of prod`."""

    trust_domain: Name
    span: Span


@final
class AnyAuthenticated(Node, frozen=True, kw_only=True):
    """`any authenticated`: every principal but the unauthenticated."""

    span: Span


@final
class Anyone(Node, frozen=True, kw_only=True):
    """`anyone`: every principal, the unauthenticated included."""

    span: Span


@final
class GroupRef(Node, frozen=True, kw_only=True):
    """A group by name."""

    name: str
    span: Span


PrincipalTerm: TypeAlias = (
    PrincipalPattern | DnsPattern | AnyPrincipalOf | AnyAuthenticated | Anyone | GroupRef
)


@final
class PrincipalSet(Node, frozen=True, kw_only=True):
    """Whoever matches one of `terms` and none of `excluded`."""

    terms: tuple[PrincipalTerm, ...]
    excluded: tuple[PrincipalTerm, ...]
    span: Span


class UserKind(Enum):
    """What of a user a pattern tests."""

    ANY = "any"  # `any user`
    ISSUER = "issuer"  # `corp/*`
    SUBJECT = "subject"  # `corp/alice`
    GROUP = "group"  # `group corp/admins`


@final
class UserPattern(Node, frozen=True, kw_only=True):
    """Users of an issuer: all, one by subject, or the members of one of the issuer's groups.

    `issuer` is an alias from an `issuer` statement; it and `name` are empty where unused.
    """

    kind: UserKind
    issuer: str
    name: str
    span: Span
