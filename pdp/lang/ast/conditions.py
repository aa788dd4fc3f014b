"""Conditions: constants, operands, the tests that compare them, and the connectives.

Types are not held together here: what an attribute may be compared with is the compiler's
business.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias, final

from pdp.diagnostics import Span
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
