"""Conditions: constants, operands, the tests that compare them, and the connectives.

Types are not held together here: what an attribute may be compared with is the compiler's
business.
"""

from enum import Enum
from typing import TypeAlias, final

from pdp.diagnostics import Span
from pdp.lang.ast.nodes import Node
from pdp.lang.ast.principals import PrincipalTerm

__all__ = [
    "AddressValue",
    "And",
    "AttributeOperand",
    "BoolValue",
    "CaptureOperand",
    "Comparison",
    "Contains",
    "During",
    "Expr",
    "Has",
    "In",
    "IntValue",
    "NamedCondition",
    "Not",
    "Operand",
    "Operator",
    "Or",
    "PrincipalIn",
    "StringValue",
    "Value",
    "ValueOperand",
]


class Operator(Enum):
    """Comparisons between an operand and another, or a constant."""

    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@final
class StringValue(Node, frozen=True, kw_only=True):
    """Text."""

    value: str
    span: Span


@final
class IntValue(Node, frozen=True, kw_only=True):
    """A signed 64-bit integer."""

    value: int
    span: Span


@final
class BoolValue(Node, frozen=True, kw_only=True):
    """`true` or `false`."""

    value: bool
    span: Span


@final
class AddressValue(Node, frozen=True, kw_only=True):
    """An IP address or a CIDR block, as written."""

    text: str
    span: Span


Value: TypeAlias = StringValue | IntValue | BoolValue | AddressValue


@final
class AttributeOperand(Node, frozen=True, kw_only=True):
    """An attribute of the request, such as `source.ip` or `header.x-tenant`."""

    name: str
    span: Span


@final
class CaptureOperand(Node, frozen=True, kw_only=True):
    """`{team}`: what a capture of the rule's patterns stands for."""

    name: str
    span: Span


@final
class ValueOperand(Node, frozen=True, kw_only=True):
    """A constant."""

    value: Value
    span: Span


Operand: TypeAlias = AttributeOperand | CaptureOperand | ValueOperand


@final
class Comparison(Node, frozen=True, kw_only=True):
    """`left OP right`."""

    operator: Operator
    left: Operand
    right: Operand
    span: Span


@final
class In(Node, frozen=True, kw_only=True):
    """`operand in { values }`, CIDR blocks included."""

    operand: Operand
    values: tuple[Value, ...]
    span: Span


@final
class Contains(Node, frozen=True, kw_only=True):
    """`attribute has value`: the list holds the value."""

    attribute: AttributeOperand
    value: Value
    span: Span


@final
class Has(Node, frozen=True, kw_only=True):
    """`has attribute`: the value is there."""

    attribute: AttributeOperand
    span: Span


@final
class PrincipalIn(Node, frozen=True, kw_only=True):
    """`principal in sre`: the principal matches the term."""

    term: PrincipalTerm
    span: Span


@final
class NamedCondition(Node, frozen=True, kw_only=True):
    """A condition by name."""

    name: str
    span: Span


@final
class During(Node, frozen=True, kw_only=True):
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
    span: Span


@final
class Not(Node, frozen=True, kw_only=True):
    """Negation."""

    item: "Expr"
    span: Span


@final
class And(Node, frozen=True, kw_only=True):
    """Conjunction of two or more."""

    items: tuple["Expr", ...]
    span: Span


@final
class Or(Node, frozen=True, kw_only=True):
    """Disjunction of two or more."""

    items: tuple["Expr", ...]
    span: Span


Expr: TypeAlias = Comparison | In | Contains | Has | PrincipalIn | NamedCondition | During | Not | And | Or
