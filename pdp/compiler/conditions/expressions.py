"""Expressions to conditions: connectives, names, groups, times of week.

This module takes an expression apart. What reads an attribute or a capture is left to
`pdp.compiler.conditions.operands`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

from pdp.compiler.conditions.closures import window
from pdp.compiler.conditions.logic import Condition, conjoin, disjoin, negate
from pdp.compiler.conditions.operands import OperandCompiler
from pdp.compiler.terms import During, PrincipalIn
from pdp.compiler.windows import UnknownZoneError
from pdp.diagnostics import Span, did_you_mean
from pdp.lang import ast

__all__ = ["ConditionCompiler"]


@final
@dataclass(slots=True, kw_only=True)
class ConditionCompiler(OperandCompiler):
    """Compiles the expressions of one rule under one binding of its captures.

    Attributes:
        directory: Where the rule is written: roles and conditions may be local to it.
        atom: Resolves a principal term to the number of its atom, reporting what is wrong.
    """

    directory: str
    atom: Callable[[ast.PrincipalTerm], int | None]
    _active: list[str] = field(default_factory=list)

    def compile(self, expr: ast.Expr) -> Condition | None:
        """The condition, or None where a mistake was reported."""
        match expr:
            case ast.And(items=items) | ast.Or(items=items):
                parts = [self.compile(item) for item in items]
                known = [part for part in parts if part is not None]
                if len(known) < len(parts):
                    return None
                return conjoin(known) if isinstance(expr, ast.And) else disjoin(known)
            case ast.Not(item=item):
                inner = self.compile(item)
                return None if inner is None else negate(inner)
            case ast.NamedCondition(name=name, span=span):
                return self._named(name, span)
            case ast.PrincipalIn(term=term):
                return self._principal_in(term)
            case ast.During():
                return self._during(expr)
            case ast.Has(attribute=attribute):
                return self._has(attribute)
            case ast.Contains():
                return self._contains(expr)
            case ast.In():
                return self._in(expr)
            case ast.Comparison():
                return self._comparison(expr)

    def _named(self, name: str, span: Span) -> Condition | None:
        declared = self.environment.condition(name, self.directory)
        if declared is None:
            if name not in self.environment.damaged:
                known = (key for _, key in self.environment.conditions)
                help_ = did_you_mean(name, known) or "declare it: `condition NAME = ...`"
                self._report("PDP204", f"unknown condition `{name}`", span, help_)
            return None
        if name in self._active:
            self._report("PDP205", f"condition `{name}` is defined by itself", declared.name.span)
            return None
        self._active.append(name)
        try:
            return self.compile(declared.expr)
        finally:
            self._active.pop()

    def _principal_in(self, term: ast.PrincipalTerm) -> Condition | None:
        number = self.atom(term)
        return None if number is None else Condition(term=PrincipalIn(number), principal=True)

    def _during(self, expr: ast.During) -> Condition | None:
        term = During(expr.days, expr.start, expr.end, expr.zone)
        try:
            return Condition(term=term, windows=(window(term),))
        except UnknownZoneError:
            help_ = "write an IANA name such as `Europe/Berlin`, or `UTC`"
            self._report("PDP207", f"unknown time zone `{expr.zone}`", expr.span, help_)
            return None
