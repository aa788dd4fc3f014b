"""What is checked of one file besides its rules' own words: where it lies, names, dates, notes.

Nothing here looks at another file but through the environment.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from pdp.compiler.conditions import ConditionCompiler
from pdp.compiler.delegation import check_placement
from pdp.compiler.details import AnyCapture
from pdp.compiler.doubts import doubts
from pdp.compiler.environment import Environment
from pdp.compiler.resolve import Resolver
from pdp.compiler.unknown import unknown_issuer, unknown_service
from pdp.diagnostics import Diagnostic, Severity, Span, did_you_mean
from pdp.lang import ast
from pdp.lang.parsed import Parsed
from pdp.vocabulary import Effect

__all__ = ["check_file"]

# True of any date, whether it lies ahead or has passed: no clock is read here.
_OBSERVED: Final = "service `{}` is observed: before its date, what no rule allows is let pass and reported"
_NOT_OBSERVED: Final = "without `observe until` it is denied"
_ENDS: Final = "from this date on, what the deny holds back is open to the allows"
_LASTS: Final = "without `until` it is held back for good"


def check_file(parsed: Parsed, environment: Environment, resolver: Resolver) -> list[Diagnostic]:
    """Everything about a file that no single rule shows, but for what `resolver` keeps."""
    found = check_placement(parsed.file, environment.ownership)
    directory = parsed.file.path.rpartition("/")[0]
    for item in parsed.file.items:
        match item:
            case ast.Invariant():
                found += _invariant(item, environment, resolver, directory)
            case ast.RoleDecl(targets=targets):
                found += _roles(targets, environment, directory)
            case ast.ConditionDecl(expr=expr):
                found += _expression(expr, environment, resolver, directory)
            case ast.ServiceBlock():
                found += _service_notes(item, parsed.endings)
            case ast.Rule():
                found += _rule_notes(item, parsed.endings)
            case _:
                pass
    return found + doubts(parsed, environment)


def _service_notes(block: ast.ServiceBlock, endings: Mapping[Span, Span]) -> list[Diagnostic]:
    found = [d for item in block.items if isinstance(item, ast.Rule) for d in _rule_notes(item, endings)]
    for item in block.items:
        if isinstance(item, ast.BulkGrants):
            found += _dates(item.clause, item.span)
    if block.observe_until is not None:
        found.append(_note("PDP404", _OBSERVED.format(block.name.text), block.name.span, _NOT_OBSERVED))
    return found


def _dates(clause: ast.Clause, span: Span) -> list[Diagnostic]:
    if clause.valid_from is None or clause.until is None or clause.valid_from < clause.until:
        return []
    return [_error("PDP339", "the rule ends before it begins", span, "`until` lies after `from`")]


def _rule_notes(rule: ast.Rule, endings: Mapping[Span, Span]) -> list[Diagnostic]:
    span = endings.get(rule.span, rule.span)
    if rule.effect is Effect.DENY and rule.clause.until is not None and not rule.shadow:
        return [_note("PDP402", _ENDS, span, _LASTS), *_dates(rule.clause, span)]
    return _dates(rule.clause, span)


def _expression(
    expr: ast.Expr, environment: Environment, resolver: Resolver, directory: str
) -> list[Diagnostic]:
    """Check an expression outside a rule. Captures may be bound by the rules that use it."""
    found: list[Diagnostic] = []
    compiler = ConditionCompiler(
        environment=environment,
        directory=directory,
        captures=AnyCapture(),
        atom=lambda term: 0 if resolver.nonempty(term) is not None else None,
        diagnostics=found,
    )
    compiler.compile(expr)
    return found


def _invariant(
    item: ast.Invariant, environment: Environment, resolver: Resolver, directory: str
) -> list[Diagnostic]:
    found = _roles(item.targets, environment, directory)
    for term in (*item.principals.terms, *item.principals.excluded):
        resolver.term(term)
    for user in item.users:
        found += unknown_issuer(user.issuer, user.span, environment) if user.issuer else []
    if not isinstance(item.services, ast.AnyService):
        for name in item.services:
            found += unknown_service(name, environment)
    if item.when is not None:
        found += _expression(item.when, environment, resolver, directory)
    return found


def _roles(
    targets: Iterable[ast.Target | ast.RoleRef], environment: Environment, directory: str
) -> list[Diagnostic]:
    """Roles that targets name and nobody declares; what those name in turn is checked where it stands."""
    found = []
    for target in targets:
        if isinstance(target, ast.Target) or environment.role(target.name, directory) is not None:
            continue
        if target.name not in environment.damaged:
            known = (name for _, name in environment.roles)
            help_ = did_you_mean(target.name, known) or "declare it: `role NAME = { GET /path }`"
            found.append(_error("PDP227", f"unknown role `{target.name}`", target.span, help_))
    return found


def _note(code: str, message: str, span: Span, help_: str) -> Diagnostic:
    return Diagnostic(code=code, severity=Severity.NOTE, message=message, span=span, help=help_)


def _error(code: str, message: str, span: Span, help_: str = "") -> Diagnostic:
    return Diagnostic(code=code, message=message, span=span, help=help_)
