"""Which tests of a condition are to blame: the fewest that would have to come out otherwise.

A condition is compiled again from what its author wrote, test by test, so that deciding needs to
know nothing of its parts. Slower than deciding by far.
"""

from collections.abc import Iterable, Iterator
from typing import Final, final

from pdp.compiler.conditions import ConditionCompiler, closure, user_condition
from pdp.compiler.evaluation import Evaluation, Truth
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import Written
from pdp.compiler.windows import wall_clock
from pdp.engine.explanation import Coordinate, Difference, Verdict
from pdp.index.rule_index import RuleIndex
from pdp.lang import ast
from pdp.lang.print_words import print_instant, print_user
from pdp.lang.printer import print_expr

__all__ = ["FailingTests"]

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@final
class FailingTests:
    """Takes conditions apart for one request."""

    def __init__(self, index: RuleIndex, evaluation: Evaluation, principal: str) -> None:
        self._environment = index.environment
        self._numbers = index.principals.numbers()
        self._resolver = Resolver(environment=index.environment)
        self._evaluation = evaluation
        self._principal = principal

    def of(self, written: Written, *, wanted: bool) -> tuple[Difference, ...]:
        """The fewest tests that keep a condition from being true, or from being false."""
        parts = []
        if written.users:
            parts.append(self._users(written.users, wanted=wanted))
        for expr, sense in ((written.when, wanted), (written.unless, not wanted)):
            if expr is not None:
                parts.append(self._of(self._compiler(written, expr), expr, "", wanted=sense))
        return _least(parts, every=wanted)

    def _compiler(self, written: Written, expr: ast.Expr) -> ConditionCompiler:
        return ConditionCompiler(
            environment=self._environment,
            directory=expr.span.file.rpartition("/")[0],
            captures=written.captures,
            atom=self._number,
            diagnostics=[],
        )

    def _number(self, term: ast.PrincipalTerm) -> int | None:
        atom = self._resolver.nonempty(term)
        return None if atom is None else self._numbers.get(atom)

    def _of(
        self, compiler: ConditionCompiler, expr: ast.Expr, name: str, *, wanted: bool
    ) -> tuple[Difference, ...]:
        """The same for a part of a condition; `name` is the named condition that it stands in."""
        match expr:
            case ast.And(items=items) | ast.Or(items=items):
                parts = [self._of(compiler, item, name, wanted=wanted) for item in items]
                return _least(parts, every=isinstance(expr, ast.And) is wanted)
            case ast.Not(item=item):
                return self._of(compiler, item, name, wanted=not wanted)
            case ast.NamedCondition(name=own):
                declared = self._environment.condition(own, compiler.directory)
                if declared is not None:
                    return self._of(compiler, declared.expr, name or own, wanted=wanted)
        condition = compiler.compile(expr)
        truth = None if condition is None else closure(condition.term)(self._evaluation)
        if truth is wanted:
            return ()
        text = print_expr(expr if wanted else ast.Not(item=expr, span=expr.span))
        return (
            Difference(
                coordinate=_coordinate(expr),
                given=self._given(compiler, expr),
                wanted=f"{text} (condition {name})" if name else text,
                truth=_told(truth),
            ),
        )

    def _users(self, users: tuple[ast.UserPattern, ...], *, wanted: bool) -> tuple[Difference, ...]:
        truth = closure(user_condition(users, self._environment).term)(self._evaluation)
        if truth is wanted:
            return ()
        user = self._evaluation.user
        if user is None:
            given = "no user" if "user" in self._evaluation.supplied else "the user is not supplied"
        else:
            groups = f" in {', '.join(user.groups)}" if user.groups else ""
            given = f"{user.subject} of {user.issuer}{groups}"
        text = f"on behalf of {', '.join(map(print_user, users))}"
        text = text if wanted else f"not {text}"
        return (Difference(coordinate=Coordinate.USER, given=given, wanted=text, truth=_told(truth)),)

    # -- what was given ----------------------------------------------------------------

    def _given(self, compiler: ConditionCompiler, expr: ast.Expr) -> str:
        match expr:
            case ast.PrincipalIn():
                return self._principal
            case ast.During(zone=zone):
                now = self._evaluation.now
                shown = wall_clock(now, zone)
                return f"now = {print_instant(now)}, {_DAYS[shown.weekday()]} {shown:%H:%M} in {zone}"
            case _:
                return ", ".join(self._operand(compiler, operand) for operand in _operands(expr))

    def _operand(
        self, compiler: ConditionCompiler, operand: ast.AttributeOperand | ast.CaptureOperand
    ) -> str:
        evaluation, name = self._evaluation, operand.name
        if isinstance(operand, ast.CaptureOperand):
            return f"{{{name}}} = {evaluation.segment(compiler.captures[name])}"
        value = evaluation.context.get(name)
        if value is None or value == ():
            supplied = name in evaluation.context or name.partition(".")[0] in evaluation.supplied
            return f"{name} is {'absent' if supplied else 'not supplied'}"
        if isinstance(value, bool):
            return f"{name} = {'true' if value else 'false'}"
        return f"{name} = {', '.join(value) if isinstance(value, tuple) else value}"


def _least(parts: list[tuple[Difference, ...]], *, every: bool) -> tuple[Difference, ...]:
    """What is to blame where every part has to be right, or where one is enough."""
    if every:
        return tuple(dict.fromkeys(one for part in parts for one in part))
    return min(parts, key=len, default=())


def _told(truth: Truth) -> Verdict:
    return Verdict.UNKNOWN if truth is None else Verdict.FALSE


def _operands(expr: ast.Expr) -> Iterator[ast.AttributeOperand | ast.CaptureOperand]:
    found: Iterable[ast.Operand] = ()
    match expr:
        case ast.Comparison(left=left, right=right):
            found = (left, right)
        case ast.In(operand=operand):
            found = (operand,)
        case ast.Contains(attribute=attribute) | ast.Has(attribute=attribute):
            found = (attribute,)
    for operand in found:
        if not isinstance(operand, ast.ValueOperand):
            yield operand


def _coordinate(expr: ast.Expr) -> Coordinate:
    if isinstance(expr, ast.PrincipalIn):
        return Coordinate.PRINCIPAL
    if isinstance(expr, ast.During):
        return Coordinate.TIME
    read = any(isinstance(operand, ast.AttributeOperand) for operand in _operands(expr))
    return Coordinate.ATTRIBUTE if read else Coordinate.CAPTURE
