"""Rules with their clauses, and the service blocks that hold them."""

from typing import TypeAlias, final

from pdp.diagnostics import Span
from pdp.lang.ast.conditions import Expr
from pdp.lang.ast.nodes import Node
from pdp.lang.ast.principals import PrincipalSet, UserPattern
from pdp.lang.ast.segments import Name
from pdp.lang.ast.targets import RoleRef, Services, Target
from pdp.vocabulary import Effect, Millis

__all__ = [
    "BulkGrants",
    "Clause",
    "HeaderObligation",
    "Host",
    "RelaxationClause",
    "ReuseLimit",
    "Rule",
    "ServiceBlock",
    "ServiceItem",
]


@final
class HeaderObligation(Node, frozen=True, kw_only=True):
    """`set header NAME = VALUE`, or `remove header NAME` where the value is None."""

    header: str
    value: str | None
    span: Span


@final
class ReuseLimit(Node, frozen=True, kw_only=True):
    """`reuse at most 30s`."""

    millis: Millis
    span: Span


@final
class Clause(Node, frozen=True, kw_only=True):
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
class Rule(Node, frozen=True, kw_only=True):
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
    span: Span


@final
class BulkGrants(Node, frozen=True, kw_only=True):
    """`allow from "grants.csv"`: one rule for each line of a table beside the policy file."""

    file: str
    clause: Clause
    span: Span


@final
class Host(Node, frozen=True, kw_only=True):
    """`host "payments.shop.svc"`: the service answers to this host name."""

    name: str
    span: Span


@final
class RelaxationClause(Node, frozen=True, kw_only=True):
    """`paths may have encoded-slash, merged-slashes`: more than one reading is considered."""

    names: tuple[Name, ...]
    span: Span


ServiceItem: TypeAlias = Rule | BulkGrants | Host | RelaxationClause


@final
class ServiceBlock(Node, frozen=True, kw_only=True):
    """`service NAME [observe until DATE] { ... }`."""

    name: Name
    observe_until: Millis | None
    items: tuple[ServiceItem, ...]
    span: Span
