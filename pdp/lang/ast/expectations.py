"""What has to hold of a policy set: invariants, and the tests beside the policies."""

from enum import Enum
from typing import final

from pdp.diagnostics import Span
from pdp.lang.ast.conditions import Expr, Value
from pdp.lang.ast.nodes import Node
from pdp.lang.ast.principals import DnsPattern, PrincipalPattern, PrincipalSet, UserPattern
from pdp.lang.ast.segments import Name
from pdp.lang.ast.targets import RoleRef, Services, Target
from pdp.vocabulary import Effect, Millis

__all__ = ["Expectation", "Invariant", "TestBlock", "TestCase"]


@final
class Invariant(Node, frozen=True, kw_only=True):
    """`never WHO may TARGETS on SERVICES [when ...]`, or `always ...` where `always` is true."""

    always: bool
    principals: PrincipalSet
    users: tuple[UserPattern, ...]
    targets: tuple[Target | RoleRef, ...]
    services: Services
    when: Expr | None
    span: Span


class Expectation(Enum):
    """Which outcome a test case demands besides the effect."""

    ANY = "any"
    DEFAULT = "default"  # `by default`: no rule matched
    RULE = "rule"  # `by NAME`


@final
class TestCase(Node, frozen=True, kw_only=True):
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
    span: Span


@final
class TestBlock(Node, frozen=True, kw_only=True):
    """`test "name" { cases }`."""

    name: str
    cases: tuple[TestCase, ...]
    span: Span
