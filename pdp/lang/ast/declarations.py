"""Declarations: what names stand for, what a directory owns, what a caller may do."""

from enum import Enum
from typing import final

from pdp.diagnostics import Span
from pdp.lang.ast.conditions import Expr
from pdp.lang.ast.nodes import Node
from pdp.lang.ast.principals import PrincipalSet, PrincipalTerm
from pdp.lang.ast.segments import Name
from pdp.lang.ast.targets import RoleRef, Services, Target

__all__ = [
    "Assertion",
    "AssertionKind",
    "AttributeDecl",
    "AttributeType",
    "Callers",
    "ConditionDecl",
    "Delegation",
    "GroupDecl",
    "IssuerDecl",
    "Owned",
    "OwnedKind",
    "Presented",
    "RoleDecl",
    "TrustDomainDecl",
]


@final
class TrustDomainDecl(Node, frozen=True, kw_only=True):
    """`trust domain prod = "prod.example.org"`."""

    name: Name
    domain: str
    span: Span


@final
class IssuerDecl(Node, frozen=True, kw_only=True):
    """`issuer corp = "https://login.example.com"`."""

    name: Name
    url: str
    span: Span


@final
class GroupDecl(Node, frozen=True, kw_only=True):
    """`group NAME = { ... }`, or `group NAME from "members.txt"` where `file` is given."""

    name: Name
    members: PrincipalSet
    file: str | None = None
    span: Span


@final
class RoleDecl(Node, frozen=True, kw_only=True):
    """`role NAME = { targets }`."""

    name: Name
    targets: tuple[Target | RoleRef, ...]
    span: Span


@final
class ConditionDecl(Node, frozen=True, kw_only=True):
    """`condition NAME = expression`."""

    name: Name
    expr: Expr
    span: Span


class AttributeType(Enum):
    """What an attribute's value is."""

    STRING = "string"
    STRINGS = "strings"
    INT = "int"
    BOOL = "bool"
    ADDRESS = "ip"


@final
class AttributeDecl(Node, frozen=True, kw_only=True):
    """`attribute user.department is string`."""

    name: Name
    type: AttributeType
    span: Span


class OwnedKind(Enum):
    """What a directory may own."""

    SERVICE = "service"
    GROUP = "group"
    HOST = "host"


@final
class Owned(Node, frozen=True, kw_only=True):
    """One thing a directory owns; a host may begin with `*.`."""

    kind: OwnedKind
    name: Name


@final
class Delegation(Node, frozen=True, kw_only=True):
    """`delegate "teams/payments" owns service payments, group billing, host "*.pay.svc"`."""

    directory: str
    owned: tuple[Owned, ...]
    span: Span


class AssertionKind(Enum):
    """What a caller may assert besides principals."""

    ITSELF = "itself"  # the caller's own identity as the principal
    CLAIMS = "claims"  # users, and claims of users and principals


@final
class Assertion(Node, frozen=True, kw_only=True):
    """One thing that a caller may assert."""

    what: AssertionKind | PrincipalTerm


@final
class Presented(Node, frozen=True, kw_only=True):
    """`may present xfcc, jwt-svid of prod/**`: kinds of evidence, and whom it may prove."""

    kinds: tuple[Name, ...]
    principals: tuple[PrincipalTerm, ...]


@final
class Callers(Node, frozen=True, kw_only=True):
    """`caller WHO fronts SERVICES may assert ... may present ... may explain supplies ...`.

    `services` are names or templates such as `{sa}.{ns}`, filled from the captures of `who`.
    `user_tokens` are aliases of the issuers whose tokens may name the user.
    """

    who: tuple[PrincipalTerm, ...]
    services: Services
    assertions: tuple[Assertion, ...]
    presents: tuple[Presented, ...] = ()
    user_tokens: tuple[Name, ...] = ()
    explain: bool
    supplies: tuple[Name, ...]
    span: Span
