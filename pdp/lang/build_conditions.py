"""From productions to AST: conditions, as deep as they may be nested."""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

from pdp.lang import ast, patterns
from pdp.lang.build_terms import TermsBuilder
from pdp.lang.tokens import Token, present
from pdp.limits import MAX_EXPRESSION_DEPTH

__all__ = ["ConditionsBuilder", "Nested"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """An expression while it is read; None if it holds a mistake.

    `depth` counts the brackets and `not` around its innermost test. Without a bound, brackets
    alone would cost quadratic time here and `not` a stack overflow in whatever walks the AST.
    """

    expr: ast.Expr | None
    depth: int


_WHOLE_DAY: Final = (0, 24 * 60)
_WHOLE_WEEK: Final = tuple(range(7))
_Part: TypeAlias = Nested | ast.Expr | None


def _nested(part: _Part) -> Nested:
    return part if isinstance(part, Nested) else Nested(expr=part, depth=0)


class ConditionsBuilder(TermsBuilder):
    """What `TermsBuilder` reads, and conditions."""

    def any_of(self, children: list[_Part]) -> Nested:
        return self._joined(children, ast.Or)

    def all_of(self, children: list[_Part]) -> Nested:
        return self._joined(children, ast.And)

    def _joined(self, children: list[_Part], kind: type[ast.And | ast.Or]) -> Nested:
        parts = [_nested(child) for child in children]
        depth = max(part.depth for part in parts)
        exprs: list[ast.Expr | None] = [part.expr for part in parts if depth <= MAX_EXPRESSION_DEPTH]
        items: tuple[ast.Expr, ...] = present(exprs)
        if len(items) < 2:
            return Nested(expr=items[0] if items else None, depth=depth)
        flat = tuple(leaf for item in items for leaf in (item.items if isinstance(item, kind) else (item,)))
        return Nested(expr=kind(items=flat, span=self.join(items[0], items[-1])), depth=depth)

    def negated(self, children: list[_Part]) -> Nested:
        inner = self._deeper(children[-1])
        return Nested(expr=inner.expr and ast.Not(item=inner.expr, span=inner.expr.span), depth=inner.depth)

    def grouped(self, children: list[_Part]) -> Nested:
        return self._deeper(children[-1])

    def _deeper(self, part: _Part) -> Nested:
        """The same one level down; reported where it passes the bound, and given up from there on."""
        inner = _nested(part)
        if inner.depth < MAX_EXPRESSION_DEPTH:
            return Nested(expr=inner.expr, depth=inner.depth + 1)
        if inner.expr is not None:
            message = f"a condition has at most {MAX_EXPRESSION_DEPTH} brackets and `not` inside each other"
            self.report("PDP912", message, inner.expr.span, "name a part of it: `condition NAME = ...`")
        return Nested(expr=None, depth=inner.depth + 1)

    def comparison(self, children: list[Any]) -> ast.Expr | None:
        left, operator, right = children
        if left is None or right is None:
            return None
        span = self.join(left, right)
        return ast.Comparison(operator=ast.Operator(str(operator)), left=left, right=right, span=span)

    def in_value(self, children: list[Any]) -> ast.Expr | None:
        return self.in_values(children)

    def in_values(self, children: list[Any]) -> ast.Expr | None:
        operand, *values = children
        kept = present(values)
        if operand is None or not kept:
            return None
        return ast.In(operand=operand, values=kept, span=self.join(operand, kept[-1]))

    def contains(self, children: list[Any]) -> ast.Expr | None:
        token, value = children
        if value is None:
            return None
        attribute = ast.AttributeOperand(name=str(token), span=self.span(token))
        return ast.Contains(attribute=attribute, value=value, span=self.join(attribute, value))

    def has(self, children: list[Token]) -> ast.Expr:
        (token,) = children
        attribute = ast.AttributeOperand(name=str(token), span=self.span(token))
        return ast.Has(attribute=attribute, span=attribute.span)

    def principal_in(self, children: list[ast.PrincipalTerm | None]) -> ast.Expr | None:
        (term,) = children
        return None if term is None else ast.PrincipalIn(term=term, span=term.span)

    def days(self, children: list[Token]) -> tuple[int, ...]:
        found: set[int] = set()
        for token in children:
            found.update(self.attempt(token, lambda text=str(token): patterns.days(text)) or ())  # type: ignore[misc]
        return tuple(sorted(found))

    def zone(self, children: list[Token]) -> Token:
        return children[0]

    def during(self, children: list[Any]) -> ast.Expr | None:
        weekdays, clock, zone = children
        # What cannot be read is reported, and stood for by all of it: the zone is still to be checked.
        window = self.attempt(clock, lambda: patterns.minutes(str(clock))) or _WHOLE_DAY
        weekdays = weekdays or _WHOLE_WEEK
        # Its place is that of the zone, the one part of it that is checked later.
        return ast.During(days=weekdays, start=window[0], end=window[1], zone=str(zone), span=self.span(zone))

    def named_condition(self, children: list[Token]) -> ast.Expr:
        (token,) = children
        return ast.NamedCondition(name=str(token), span=self.span(token))

    def word_operand(self, children: list[Token]) -> ast.Operand | None:
        (token,) = children
        text = str(token)
        if patterns.begins_constant(text):
            value = self.word_value(children)
            return None if value is None else ast.ValueOperand(value=value, span=value.span)
        return ast.AttributeOperand(name=text, span=self.span(token))

    def value_operand(self, children: list[ast.Value | None]) -> ast.Operand | None:
        (value,) = children
        return None if value is None else ast.ValueOperand(value=value, span=value.span)

    def capture_operand(self, children: list[Token]) -> ast.Operand:
        (token,) = children
        return ast.CaptureOperand(name=str(token), span=self.span(token))

    def word_value(self, children: list[Token]) -> ast.Value | None:
        (token,) = children
        return self.attempt(token, lambda: patterns.value_of_word(str(token), self.span(token)))

    def string_value(self, children: list[Token]) -> ast.Value:
        (token,) = children
        return ast.StringValue(value=self.unquote(token), span=self.span(token))

    def true_value(self, children: list[Token]) -> ast.Value:
        return ast.BoolValue(value=True, span=self.span(children[0]))

    def false_value(self, children: list[Token]) -> ast.Value:
        return ast.BoolValue(value=False, span=self.span(children[0]))
