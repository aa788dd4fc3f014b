"""Tests of attributes and captures, type-checked: `has`, `in` and the comparisons.

This module finds the type of each side and reports what does not fit. The closures are made
later (`pdp.compiler.conditions.closures`), and may rely on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pdp.compiler.attributes import attribute_type, how_to_write
from pdp.compiler.conditions.logic import Condition, negate, together
from pdp.compiler.environment import Environment
from pdp.compiler.evaluation import Place
from pdp.compiler.terms import Compared, Constant, Contains, Has, Key, MemberOf, SameAs, Term
from pdp.diagnostics import Diagnostic, Severity, Span, did_you_mean
from pdp.lang import ast
from pdp.lang.ast import AttributeType, Operator

__all__ = ["OperandCompiler"]


@dataclass(slots=True, kw_only=True)
class OperandCompiler:
    """Compiles what reads an attribute or a capture; None is returned where a mistake was reported.

    Attributes:
        environment: What names stand for.
        captures: What each capture stands for.
        diagnostics: Where mistakes go; the same mistake may be added more than once.
    """

    environment: Environment
    captures: Mapping[str, Place]
    diagnostics: list[Diagnostic]

    def _report(self, code: str, message: str, span: Span, help_: str = "") -> None:
        self.diagnostics.append(Diagnostic(code=code, message=message, span=span, help=help_))

    def _doubt_commas(self, name: str, *values: ast.Value) -> None:
        """Whoever joins the lines of a header makes one with a comma: nobody knows that it was one line."""
        for value in values:
            if name.startswith("header.") and isinstance(value, ast.StringValue) and "," in value.value:
                self.diagnostics.append(
                    Diagnostic(
                        code="PDP408",
                        severity=Severity.WARNING,
                        message=f"`{name}` is never surely this: lines of a header may have been joined",
                        span=value.span,
                        label="has a comma",
                        help="test for each part with `has`; by this one no allow holds",
                    )
                )

    def _type(self, attribute: ast.AttributeOperand) -> AttributeType | None:
        found = attribute_type(attribute.name, self.environment.attributes)
        if isinstance(found, AttributeType):
            return found
        if attribute.name in self.environment.damaged:
            return None
        if "." not in attribute.name:
            help_ = "text is written in quotes; an attribute has a family: `header.x-tenant`"
        else:
            help_ = found or f"declare it: `attribute {attribute.name} is string`"
        self._report("PDP206", f"unknown attribute `{attribute.name}`", attribute.span, help_)
        return None

    def _has(self, attribute: ast.AttributeOperand) -> Condition | None:
        if self._type(attribute) is None:
            return None
        return Condition(term=Has(attribute.name), reads=frozenset({attribute.name}))

    def _contains(self, expr: ast.Contains) -> Condition | None:
        type_ = self._type(expr.attribute)
        if type_ is None:
            return None
        if type_ is not AttributeType.STRINGS:
            help_ = f"write `{expr.attribute.name} == ...`"
            self._report("PDP331", f"`{expr.attribute.name}` holds one {type_.value}", expr.span, help_)
            return None
        if not isinstance(expr.value, ast.StringValue):
            self._report("PDP332", "a list of strings holds text", expr.value.span, "write it in quotes")
            return None
        name = expr.attribute.name
        self._doubt_commas(name, expr.value)
        return Condition(term=Contains(name, expr.value.value), reads=frozenset({name}))

    def _in(self, expr: ast.In) -> Condition | None:
        if isinstance(expr.operand, ast.ValueOperand):
            self._report("PDP333", "this compares two constants", expr.span, "name an attribute or a capture")
            return None
        if isinstance(expr.operand, ast.CaptureOperand):
            place = self._place(expr.operand)
            if place is None or not self._all_fit(AttributeType.STRING, expr.values):
                return None
            return _of(place, MemberOf(place, AttributeType.STRING, _constants(expr.values)))
        type_ = self._type(expr.operand)
        if type_ is None or not self._all_fit(type_, expr.values, blocks=True):
            return None
        self._doubt_commas(expr.operand.name, *expr.values)
        return _of(expr.operand.name, MemberOf(expr.operand.name, type_, _constants(expr.values)))

    def _all_fit(self, type_: AttributeType, values: tuple[ast.Value, ...], *, blocks: bool = False) -> bool:
        fitting = [self._fits(type_, value, blocks=blocks) for value in values]
        return all(fitting)

    def _fits(self, type_: AttributeType, value: ast.Value, *, blocks: bool) -> bool:
        wanted: Mapping[AttributeType, type] = {
            AttributeType.STRING: ast.StringValue,
            AttributeType.STRINGS: ast.StringValue,
            AttributeType.INT: ast.IntValue,
            AttributeType.BOOL: ast.BoolValue,
            AttributeType.ADDRESS: ast.AddressValue,
        }
        if not isinstance(value, wanted[type_]):
            shown = (
                "text in quotes" if wanted[type_] is ast.StringValue else f"a value of type `{type_.value}`"
            )
            self._report("PDP332", f"{shown} is needed here", value.span, how_to_write(type_))
            return False
        if isinstance(value, ast.AddressValue) and "/" in value.text and not blocks:
            help_ = f"write `in {value.text}`"
            self._report("PDP334", "an address is not equal to a block", value.span, help_)
            return False
        return True

    # -- comparisons -------------------------------------------------------------------

    def _place(self, operand: ast.CaptureOperand) -> Place | None:
        place = self.captures.get(operand.name)
        if place is None:
            help_ = did_you_mean(operand.name, self.captures) or "bind it in the rule's principal or path"
            self._report("PDP218", f"capture `{{{operand.name}}}` is not bound", operand.span, help_)
        return place

    def _comparison(self, expr: ast.Comparison) -> Condition | None:
        left, right, operator = expr.left, expr.right, expr.operator
        if isinstance(left, ast.ValueOperand):
            left, right, operator = right, left, _MIRRORED[operator]
        if isinstance(left, ast.ValueOperand):
            self._report("PDP333", "this compares two constants", expr.span, "name an attribute or a capture")
            return None
        if isinstance(right, ast.ValueOperand):
            return self._with_constant(operator, left, right.value, expr.span)
        if operator not in {Operator.EQ, Operator.NE}:
            help_ = "only `==` and `!=` compare two attributes"
            self._report("PDP335", "there is no order between two attributes", expr.span, help_)
            return None
        return self._two(operator, left, right, expr.span)

    def _with_constant(
        self,
        operator: Operator,
        left: ast.AttributeOperand | ast.CaptureOperand,
        value: ast.Value,
        span: Span,
    ) -> Condition | None:
        if isinstance(left, ast.CaptureOperand):
            place = self._place(left)
            if place is None or not self._ordered(operator, AttributeType.STRING, span):
                return None
            if not self._fits(AttributeType.STRING, value, blocks=False):
                return None
            return _of(place, Compared(place, operator, AttributeType.STRING, _constant(value)))
        type_ = self._type(left)
        if (
            type_ is None
            or not self._ordered(operator, type_, span)
            or not self._fits(type_, value, blocks=False)
        ):
            return None
        self._doubt_commas(left.name, value)
        return _of(left.name, Compared(left.name, operator, type_, _constant(value)))

    def _ordered(self, operator: Operator, type_: AttributeType, span: Span) -> bool:
        if operator in {Operator.EQ, Operator.NE} or type_ is AttributeType.INT:
            return True
        self._report(
            "PDP336", f"values of type `{type_.value}` have no order", span, "write `==`, `!=` or `in`"
        )
        return False

    def _two(
        self,
        operator: Operator,
        left: ast.AttributeOperand | ast.CaptureOperand,
        right: ast.AttributeOperand | ast.CaptureOperand,
        span: Span,
    ) -> Condition | None:
        sides: list[tuple[Key, AttributeType]] = []
        for side in (left, right):
            if isinstance(side, ast.CaptureOperand):
                place = self._place(side)
                if place is not None:
                    sides.append((place, AttributeType.STRING))
            else:
                type_ = self._type(side)
                if type_ is not None:
                    sides.append((side.name, type_))
        if len(sides) < 2:
            return None
        types = {type_ for _, type_ in sides}
        if types not in _COMPARABLE:
            shown = " and ".join(f"`{type_.value}`" for _, type_ in sides)
            help_ = "attributes of one type are, and a list of strings with a string"
            self._report("PDP337", f"{shown} cannot be compared", span, help_)
            return None
        (one, one_type), (two, two_type) = sides
        if two_type is AttributeType.STRINGS:
            one, one_type, two, two_type = two, two_type, one, one_type
        same = SameAs(one, one_type, two, two_type)
        found = together([_of(one, same), _of(two, same)], same)
        return found if operator is Operator.EQ else negate(found)


def _of(key: Key, term: Term) -> Condition:
    """A condition that reads an attribute or a capture."""
    if isinstance(key, str):
        return Condition(term=term, reads=frozenset({key}))
    places = frozenset() if key.principal else frozenset({key.index})
    return Condition(term=term, places=places, principal=key.principal)


def _constants(values: tuple[ast.Value, ...]) -> tuple[Constant, ...]:
    return tuple(map(_constant, values))


def _constant(value: ast.Value) -> Constant:
    return value.text if isinstance(value, ast.AddressValue) else value.value


_MIRRORED: Final = {
    Operator.EQ: Operator.EQ,
    Operator.NE: Operator.NE,
    Operator.LT: Operator.GT,
    Operator.LE: Operator.GE,
    Operator.GT: Operator.LT,
    Operator.GE: Operator.LE,
}
_COMPARABLE: Final = (
    {AttributeType.STRING},
    {AttributeType.STRING, AttributeType.STRINGS},
    {AttributeType.INT},
    {AttributeType.BOOL},
    {AttributeType.ADDRESS},
)
