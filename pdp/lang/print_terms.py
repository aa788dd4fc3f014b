"""Principals, targets and conditions as text: what `build_terms` and `build_conditions` read, written."""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias, assert_never

from pdp.lang import ast
from pdp.lang.print_words import (
    print_during,
    print_operand,
    print_path,
    print_segment,
    print_segments,
    print_value,
    print_values,
    quoted,
    word_or_quoted,
)

__all__ = ["TermsPrinter"]

_CALLED: Final = re.compile(r"/[A-Za-z_][A-Za-z0-9_.]*/(?:\*|[A-Za-z_][A-Za-z0-9_]*)")
_NS: Final = ast.LiteralSegment(text="ns")
_SA: Final = ast.LiteralSegment(text="sa")

_Test: TypeAlias = (
    ast.Comparison | ast.In | ast.Contains | ast.Has | ast.PrincipalIn | ast.NamedCondition | ast.During
)


class TermsPrinter:
    """Prints whatever can hold a principal or a target; `canonical` drops how those were written."""

    def __init__(self, *, canonical: bool) -> None:
        self._canonical = canonical

    # -- principals, targets, conditions -----------------------------------------------

    def term(self, term: ast.PrincipalTerm) -> str:
        """A principal term."""
        match term:
            case ast.PrincipalPattern():
                return self._pattern(term)
            case ast.DnsPattern(name=name):
                return f"dns {word_or_quoted(name)}"
            case ast.AnyPrincipalOf(trust_domain=domain):
                return f"any principal of {domain.text}"
            case ast.AnyAuthenticated():
                return "any authenticated"
            case ast.Anyone():
                return "anyone"
            case ast.GroupRef(name=name):
                return name
            case _:
                assert_never(term)

    def _pattern(self, term: ast.PrincipalPattern) -> str:
        path = f"{term.trust_domain}/{print_segments(term.segments)}"
        if term.written_out:  # names the domain itself, no alias: never another form
            return quoted(f"spiffe://{path}")
        return path if self._canonical else _short_form(term) or path

    def terms(self, terms: Iterable[ast.PrincipalTerm], between: str = ", ") -> str:
        """Terms with commas, or another word, between them."""
        return between.join(map(self.term, terms))

    def principal_set(self, principals: ast.PrincipalSet) -> str:
        """Terms and what they except."""
        terms = self.terms(principals.terms)
        return f"{terms} except {self.terms(principals.excluded, ' and ')}" if principals.excluded else terms

    def target(self, target: ast.Target | ast.RoleRef) -> str:
        """A target."""
        if isinstance(target, ast.RoleRef):
            return target.name
        path = print_path(target.path)
        if target.call and not self._canonical and _CALLED.fullmatch(path):
            return f"call {path[1:]}"
        methods = "any" if target.methods is None else ", ".join(target.methods)
        excluded = " and ".join(map(print_path, target.excluded))
        return f"{methods} {path} except {excluded}" if excluded else f"{methods} {path}"

    def targets(self, targets: Iterable[ast.Target | ast.RoleRef]) -> str:
        """Targets with commas between them."""
        return ", ".join(map(self.target, targets))

    def expr(self, expr: ast.Expr) -> str:
        """A condition, with brackets only where they mean something."""
        match expr:
            case ast.Or(items=items):
                return " or ".join(self._inside(item, ast.Or) for item in items)
            case ast.And(items=items):
                return " and ".join(self._inside(item, ast.And, ast.Or) for item in items)
            case ast.Not(item=item):
                return f"not {self._inside(item, ast.And, ast.Or)}"
            case _:
                return self._test(expr)

    def _test(self, test: _Test) -> str:
        match test:
            case ast.Comparison(operator=operator, left=left, right=right):
                return f"{print_operand(left)} {operator.value} {print_operand(right)}"
            case ast.In(operand=operand, values=values):
                return f"{print_operand(operand)} in {print_values(values)}"
            case ast.Contains(attribute=attribute, value=value):
                return f"{attribute.name} has {print_value(value)}"
            case ast.Has(attribute=attribute):
                return f"has {attribute.name}"
            case ast.PrincipalIn(term=term):
                return f"principal in {self.term(term)}"
            case ast.NamedCondition(name=name):
                return name
            case ast.During():
                return print_during(test)
            case _:
                assert_never(test)

    def _inside(self, expr: ast.Expr, *looser: type[ast.And | ast.Or]) -> str:
        """In brackets if it would bind looser than what it stands in."""
        return f"({self.expr(expr)})" if isinstance(expr, looser) else self.expr(expr)


def _short_form(term: ast.PrincipalPattern) -> str | None:
    """`sa ...` or `namespace ...` where it was written so and still has that shape."""
    match term.segments:
        case (first, namespace, third, account) if first == _NS and third == _SA:
            if ast.RestSegments() in term.segments:
                return None
            if term.form is ast.SpiffeForm.SERVICE_ACCOUNT:
                return f"sa {term.trust_domain}/{print_segment(namespace)}/{print_segment(account)}"
            if term.form is ast.SpiffeForm.NAMESPACE and account == ast.AnySegment():
                return f"namespace {term.trust_domain}/{print_segment(namespace)}"
    return None
