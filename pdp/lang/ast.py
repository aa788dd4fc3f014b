"""The policy language as data.

This module holds what a file *says*: names as they are written, nothing resolved. Whether
it makes sense is the compiler's business, how it is looked up the index's.

Nodes are frozen, compare by meaning and carry the span they were read from. The span takes
no part in equality, so two files that say the same are equal however they are laid out.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias, final

from pdp.diagnostics import Span
from pdp.vocabulary import Effect, Millis

__all__ = [
    "AddressValue",
    "And",
    "AnyAuthenticated",
    "AnyPrincipalOf",
    "AnySegment",
    "AnyService",
    "Anyone",
    "Assertion",
    "AssertionKind",
    "AttributeDecl",
    "AttributeOperand",
    "AttributeType",
    "BoolValue",
    "BulkGrants",
    "Callers",
    "Capture",
    "CaptureOperand",
    "Clause",
    "Comparison",
    "ConditionDecl",
    "Contains",
    "Delegation",
    "DnsPattern",
    "During",
    "Expectation",
    "Expr",
    "File",
    "GroupDecl",
    "GroupRef",
    "Has",
    "HeaderObligation",
    "Host",
    "In",
    "IntValue",
    "Invariant",
    "IssuerDecl",
    "Item",
    "LiteralSegment",
    "Name",
    "NamedCondition",
    "Not",
    "Operand",
    "Operator",
    "Or",
    "Owned",
    "OwnedKind",
    "PathPattern",
    "PrefixSegment",
    "PrincipalIn",
    "PrincipalPattern",
    "PrincipalSet",
    "PrincipalTerm",
    "RelaxationClause",
    "RestSegments",
    "ReuseLimit",
    "RoleDecl",
    "RoleRef",
    "Rule",
    "Segment",
    "ServiceBlock",
    "ServiceItem",
    "Services",
    "SpiffeForm",
    "StringValue",
    "SuffixSegment",
    "Target",
    "TestBlock",
    "TestCase",
    "TrustDomainDecl",
    "UserKind",
    "UserPattern",
    "Value",
    "ValueOperand",
]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name as the author wrote it."""

    text: str
    span: Span = field(compare=False, repr=False)


# -- segments of principals, paths and services ----------------------------------------


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LiteralSegment:
    """Exactly this segment."""

    text: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """`{name}`: any one non-empty segment; the same name twice means the same segment."""

    name: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AnySegment:
    """`*`: any one non-empty segment."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixSegment:
    """`abc*`: one segment that begins with the text and is longer than it or equal to it."""

    text: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SuffixSegment:
    """`*abc`: one segment that ends with the text."""

    text: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RestSegments:
    """`**`: any number of segments, none included."""


Segment: TypeAlias = LiteralSegment | Capture | AnySegment | PrefixSegment | SuffixSegment | RestSegments


# -- principals and users --------------------------------------------------------------


class SpiffeForm(Enum):
    """How a SPIFFE pattern was written; the meaning is in its segments."""

    PATH = "path"  # prod/ns/web/sa/frontend
    SERVICE_ACCOUNT = "sa"  # sa prod/web/frontend
    NAMESPACE = "namespace"  # namespace prod/web
    URI = "uri"  # "spiffe://prod.example.org/ns/web/sa/frontend"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalPattern:
    """SPIFFE IDs of a trust domain by their path.

    `trust_domain` is an alias from a `trust domain` statement, the domain itself where it is
    `written_out` (the form is `URI`), or `*` for every trust domain.
    """

    trust_domain: str
    segments: tuple[Segment, ...]
    written_out: bool = False
    form: SpiffeForm = field(default=SpiffeForm.PATH, compare=False)
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DnsPattern:
    """`dns db.example.org` or `dns *.example.org`: one DNS identity, or one label more."""

    name: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AnyPrincipalOf:
    """`any principal of prod`."""

    trust_domain: Name
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AnyAuthenticated:
    """`any authenticated`: every principal but the unauthenticated."""

    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Anyone:
    """`anyone`: every principal, the unauthenticated included."""

    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRef:
    """A group by name."""

    name: str
    span: Span = field(compare=False, repr=False)


PrincipalTerm: TypeAlias = (
    PrincipalPattern | DnsPattern | AnyPrincipalOf | AnyAuthenticated | Anyone | GroupRef
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalSet:
    """Whoever matches one of `terms` and none of `excluded`."""

    terms: tuple[PrincipalTerm, ...]
    excluded: tuple[PrincipalTerm, ...]
    span: Span = field(compare=False, repr=False)


class UserKind(Enum):
    """What of a user a pattern tests."""

    ANY = "any"  # `any user`
    ISSUER = "issuer"  # `corp/*`
    SUBJECT = "subject"  # `corp/alice`
    GROUP = "group"  # `group corp/admins`


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UserPattern:
    """Users of an issuer: all, one by subject, or the members of one of the issuer's groups.

    `issuer` is an alias from an `issuer` statement; it and `name` are empty where unused.
    """

    kind: UserKind
    issuer: str
    name: str
    span: Span = field(compare=False, repr=False)


# -- targets ---------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PathPattern:
    """A path, anchored at both ends; its segments are those of `path.split("/")[1:]`."""

    segments: tuple[Segment, ...]
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Methods on a path; `methods` is None for the word `any`. `call` is how it was written."""

    methods: tuple[str, ...] | None
    path: PathPattern
    excluded: tuple[PathPattern, ...] = ()
    call: bool = field(default=False, compare=False)
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRef:
    """A role by name."""

    name: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AnyService:
    """`any service`: every service, those not declared included."""

    span: Span = field(compare=False, repr=False)


#: Services by name, or every one.
Services: TypeAlias = tuple[Name, ...] | AnyService


# -- conditions ------------------------------------------------------------------------


class Operator(Enum):
    """Comparisons between an operand and another, or a constant."""

    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StringValue:
    """Text."""

    value: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IntValue:
    """A signed 64-bit integer."""

    value: int
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BoolValue:
    """`true` or `false`."""

    value: bool
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AddressValue:
    """An IP address or a CIDR block, as written."""

    text: str
    span: Span = field(compare=False, repr=False)


Value: TypeAlias = StringValue | IntValue | BoolValue | AddressValue


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeOperand:
    """An attribute of the request, such as `source.ip` or `header.x-tenant`."""

    name: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOperand:
    """`{team}`: what a capture of the rule's patterns stands for."""

    name: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ValueOperand:
    """A constant."""

    value: Value
    span: Span = field(compare=False, repr=False)


Operand: TypeAlias = AttributeOperand | CaptureOperand | ValueOperand


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`left OP right`."""

    operator: Operator
    left: Operand
    right: Operand
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class In:
    """`operand in { values }`, CIDR blocks included."""

    operand: Operand
    values: tuple[Value, ...]
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Contains:
    """`attribute has value`: the list holds the value."""

    attribute: AttributeOperand
    value: Value
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Has:
    """`has attribute`: the value is there."""

    attribute: AttributeOperand
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalIn:
    """`principal in sre`: the principal matches the term."""

    term: PrincipalTerm
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCondition:
    """A condition by name."""

    name: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class During:
    """A time of week on the wall clock of a zone.

    Attributes:
        days: Weekdays, Monday is 0, ascending and distinct.
        start: First minute of the day that belongs to it.
        end: First minute after it; 1440 for the end of the day.
        zone: IANA name.
    """

    days: tuple[int, ...]
    start: int
    end: int
    zone: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """Negation."""

    item: "Expr"
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """Conjunction of two or more."""

    items: tuple["Expr", ...]
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """Disjunction of two or more."""

    items: tuple["Expr", ...]
    span: Span = field(compare=False, repr=False)


Expr: TypeAlias = Comparison | In | Contains | Has | PrincipalIn | NamedCondition | During | Not | And | Or


# -- rules -----------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderObligation:
    """`set header NAME = VALUE`, or `remove header NAME` where the value is None."""

    header: str
    value: str | None
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReuseLimit:
    """`reuse at most 30s`."""

    millis: Millis
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """What may follow a rule's target, in any order.

    `valid_from` is inclusive, `until` exclusive; both are instants.
    """

    when: Expr | None = None
    unless: Expr | None = None
    valid_from: Millis | None = None
    until: Millis | None = None
    because: str | None = None
    owner: str | None = None
    name: Name | None = None
    obligations: tuple[HeaderObligation | ReuseLimit, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """*effect* for *principals* [on behalf of *users*] to *targets* [on *services*].

    INVARIANT: principals and targets are never empty: the grammar cannot say "everyone" by
    leaving something out. `users` is empty where the rule does not read the user.
    `services` is None inside a service block.
    """

    effect: Effect
    shadow: bool
    principals: PrincipalSet
    users: tuple[UserPattern, ...]
    targets: tuple[Target | RoleRef, ...]
    services: Services | None
    clause: Clause
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BulkGrants:
    """`allow from "grants.csv"`: one rule for each line of a table beside the policy file."""

    file: str
    clause: Clause
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """`host "payments.shop.svc"`: the service answers to this host name."""

    name: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxationClause:
    """`paths may have encoded-slash, merged-slashes`: more than one reading is considered."""

    names: tuple[Name, ...]
    span: Span = field(compare=False, repr=False)


ServiceItem: TypeAlias = Rule | BulkGrants | Host | RelaxationClause


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceBlock:
    """`service NAME [observe until DATE] { ... }`."""

    name: Name
    observe_until: Millis | None
    items: tuple[ServiceItem, ...]
    span: Span = field(compare=False, repr=False)


# -- declarations ----------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrustDomainDecl:
    """`trust domain prod = "prod.example.org"`."""

    name: Name
    domain: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerDecl:
    """`issuer corp = "https://login.example.com"`."""

    name: Name
    url: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDecl:
    """`group NAME = { ... }`, or `group NAME from "members.txt"` where `file` is given."""

    name: Name
    members: PrincipalSet
    file: str | None = None
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDecl:
    """`role NAME = { targets }`."""

    name: Name
    targets: tuple[Target | RoleRef, ...]
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionDecl:
    """`condition NAME = expression`."""

    name: Name
    expr: Expr
    span: Span = field(compare=False, repr=False)


class AttributeType(Enum):
    """What an attribute's value is."""

    STRING = "string"
    STRINGS = "strings"
    INT = "int"
    BOOL = "bool"
    ADDRESS = "ip"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeDecl:
    """`attribute user.department is string`."""

    name: Name
    type: AttributeType
    span: Span = field(compare=False, repr=False)


class OwnedKind(Enum):
    """What a directory may own."""

    SERVICE = "service"
    GROUP = "group"
    HOST = "host"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """One thing a directory owns; a host may begin with `*.`."""

    kind: OwnedKind
    name: Name


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """`delegate "teams/payments" owns service payments, group billing, host "*.pay.svc"`."""

    directory: str
    owned: tuple[Owned, ...]
    span: Span = field(compare=False, repr=False)


class AssertionKind(Enum):
    """What a caller may assert besides principals."""

    ITSELF = "itself"  # the caller's own identity as the principal
    CLAIMS = "claims"  # users, and claims of users and principals


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One thing that a caller may assert."""

    what: AssertionKind | PrincipalTerm


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """`caller WHO fronts SERVICES may assert ... may explain supplies ...`.

    `services` are names or templates such as `{sa}.{ns}`, filled from the captures of `who`.
    """

    who: tuple[PrincipalTerm, ...]
    services: Services
    assertions: tuple[Assertion, ...]
    explain: bool
    supplies: tuple[Name, ...]
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """`never WHO may TARGETS on SERVICES [when ...]`, or `always ...` where `always` is true."""

    always: bool
    principals: PrincipalSet
    users: tuple[UserPattern, ...]
    targets: tuple[Target | RoleRef, ...]
    services: Services
    when: Expr | None
    span: Span = field(compare=False, repr=False)


class Expectation(Enum):
    """Which outcome a test case demands besides the effect."""

    ANY = "any"
    DEFAULT = "default"  # `by default`: no rule matched
    RULE = "rule"  # `by NAME`


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TestCase:
    """One question with its expected answer.

    `principal` is None for the word `anonymous`; its pattern holds literal segments only.
    `context` maps attribute names to values: one, several for a list, none for `absent`.
    `supplying` is None where the asker supplies every family.
    """

    effect: Effect
    principal: PrincipalPattern | DnsPattern | None
    user: UserPattern | None
    method: str
    service: Name
    path: str
    context: tuple[tuple[Name, tuple[Value, ...] | None], ...]
    at: Millis | None
    supplying: tuple[Name, ...] | None
    expectation: Expectation
    rule: Name | None
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TestBlock:
    """`test "name" { cases }`."""

    name: str
    cases: tuple[TestCase, ...]
    span: Span = field(compare=False, repr=False)


Item: TypeAlias = (
    TrustDomainDecl
    | IssuerDecl
    | GroupDecl
    | RoleDecl
    | ConditionDecl
    | AttributeDecl
    | Delegation
    | ServiceBlock
    | Rule
    | Callers
    | Invariant
    | TestBlock
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One policy file. `path` is relative to the policy set."""

    path: str
    items: tuple[Item, ...]
