"""What a reviewer should see of rules that are written as they should be.

A deny that a request meets only because it lacks an attribute; and what the platform allows on a
service that a directory owns.
"""

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Final, TypeAlias

from pdp.compiler.environment import Environment
from pdp.compiler.evaluation import Truth
from pdp.diagnostics import Diagnostic, Severity
from pdp.lang import ast
from pdp.lang.ast import OwnedKind
from pdp.lang.parsed import Parsed
from pdp.vocabulary import Effect

__all__ = ["doubts"]

_Truths: TypeAlias = frozenset[Truth]
_EITHER: Final[_Truths] = frozenset({True, False})
_ABSENT: Final[_Truths] = frozenset({False})
_UNKNOWN: Final[_Truths] = frozenset({None})
_SHOWN: Final = 3  # services that are named


def doubts(parsed: Parsed, environment: Environment) -> list[Diagnostic]:
    """Warnings and notes about the rules of a file."""
    directory = parsed.file.path.rpartition("/")[0]
    found: list[Diagnostic] = []
    for item in parsed.file.items:
        if isinstance(item, ast.ServiceBlock):
            for part in item.items:
                if isinstance(part, ast.Rule):
                    found += _missing(part, environment, directory)
        elif isinstance(item, ast.Rule):
            found += _missing(item, environment, directory)
            found += _granted(item, environment, directory)
    return found


# -- attributes that are missing -----------------------------------------------------------


def _missing(rule: ast.Rule, environment: Environment, directory: str) -> Iterator[Diagnostic]:
    """Law 3: what stays unknown leaves a deny satisfied."""
    when, unless = rule.clause.when, rule.clause.unless
    if rule.effect is not Effect.DENY or when is None:
        return
    truths = _truths(when, environment, directory)
    if None in truths and unless is not None:
        truths = _join(
            [truths, _truths(ast.Not(item=unless, span=unless.span), environment, directory)], _and
        )
    if None in truths:
        yield Diagnostic(
            code="PDP406",
            severity=Severity.WARNING,
            message="this deny also bites where an attribute that it tests is missing",
            span=when.span,
            help="to leave such requests alone, test `has` as well; to mean them too, write `not has ... or`",
        )


def _truths(expr: ast.Expr, environment: Environment, directory: str) -> _Truths:
    """What an expression can come to for requests that have none of the attributes."""
    match expr:
        case ast.And(items=items):
            return _join([_truths(item, environment, directory) for item in items], _and)
        case ast.Or(items=items):
            return _join([_truths(item, environment, directory) for item in items], _or)
        case ast.Not(item=item):
            return frozenset(None if t is None else not t for t in _truths(item, environment, directory))
        case ast.NamedCondition(name=name):
            declared = environment.condition(name, directory)
            return _EITHER if declared is None else _truths(declared.expr, environment, directory)
        case ast.Has():
            return _ABSENT
        case ast.Contains():
            return _UNKNOWN
        case ast.Comparison(left=left, right=right):
            return _UNKNOWN if _reads(left) or _reads(right) else _EITHER
        case ast.In(operand=operand):
            return _UNKNOWN if _reads(operand) else _EITHER
        case _:
            return _EITHER


def _reads(operand: ast.Operand) -> bool:
    return isinstance(operand, ast.AttributeOperand)


def _join(parts: list[_Truths], how: Callable[[Truth, Truth], Truth]) -> _Truths:
    return reduce(lambda some, more: frozenset(how(one, two) for one in some for two in more), parts)


def _and(one: Truth, two: Truth) -> Truth:
    """Kleene's."""
    if one is False or two is False:
        return False
    return None if one is None or two is None else True


def _or(one: Truth, two: Truth) -> Truth:
    """Kleene's."""
    if one is True or two is True:
        return True
    return None if one is None or two is None else False


# -- what the platform allows --------------------------------------------------------------


def _granted(rule: ast.Rule, environment: Environment, directory: str) -> Iterator[Diagnostic]:
    """An allow outside the directory that owns a service it is on."""
    if rule.effect is not Effect.ALLOW or rule.shadow or environment.ownership.scope(directory):
        return
    owners = _owners(rule, environment)
    if owners:
        services = ", ".join(f"`{service}` of `{owner}`" for service, owner in owners[:_SHOWN])
        more = f" and {len(owners) - _SHOWN} more" if len(owners) > _SHOWN else ""
        yield Diagnostic(
            code="PDP407",
            severity=Severity.NOTE,
            message=f"the platform allows this on {services}{more}",
            span=rule.span,
            help="nothing to do: it is listed because it does not stand with the service's own rules",
        )


def _owners(rule: ast.Rule, environment: Environment) -> list[tuple[str, str]]:
    """The owned services that a rule is on, each with its owner."""
    if isinstance(rule.services, ast.AnyService):
        names = list(environment.services)
    else:
        names = [name.text for name in rule.services or () if name.text in environment.services]
    found = [(name, environment.ownership.owner(OwnedKind.SERVICE, name)) for name in names]
    return [(name, owner) for name, owner in found if owner]
