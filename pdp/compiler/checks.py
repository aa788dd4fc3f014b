"""What is checked over the whole set, once every file is lowered.

Errors keep a version from being served; warnings and notes are what a reviewer should see.
Whether rules can matter at all is the business of `pdp.analysis`.
"""

from collections.abc import Iterable, Mapping, Sequence

from pdp.compiler.cases import test_problems, unknown_service
from pdp.compiler.conditions import ConditionCompiler
from pdp.compiler.conflicts import conflicting_obligations
from pdp.compiler.environment import Environment
from pdp.compiler.evaluation import Place
from pdp.compiler.heads import Heads
from pdp.compiler.letter_case import never_in_lower_case
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import Unit
from pdp.diagnostics import Diagnostic, Severity, Span, did_you_mean
from pdp.lang import ast
from pdp.lang.parser import Parsed
from pdp.vocabulary import Effect

__all__ = ["check_set"]


def check_set(
    parsed: Sequence[Parsed],
    environment: Environment,
    units: Sequence[Unit],
    numbers: Numbers,
    resolver: Resolver,
) -> list[Diagnostic]:
    """Everything that no single rule shows."""
    before = len(resolver.diagnostics)
    heads = Heads(parsed)
    found: list[Diagnostic] = []
    for group in environment.groups.values():
        resolver.term(ast.GroupRef(name=group.name.text, span=group.name.span))
    found += conflicting_obligations(units, numbers, heads)
    found += never_in_lower_case(parsed, environment, units, heads)
    found += _repeated(units, heads)
    found += test_problems(parsed, environment, units, resolver)
    for file in parsed:
        directory = file.file.path.rpartition("/")[0]
        for item in file.file.items:
            match item:
                case ast.Invariant():
                    found += _invariant(item, environment, resolver, directory)
                case ast.RoleDecl(targets=targets):
                    found += _roles(targets, environment, directory)
                case ast.ConditionDecl(expr=expr):
                    found += _expression(expr, environment, resolver, directory)
                case ast.ServiceBlock():
                    found += _service_notes(item, file.endings)
                case ast.Rule():
                    found += _rule_notes(item, file.endings)
                case _:
                    pass
    return [*found, *resolver.diagnostics[before:]]


def _repeated(units: Iterable[Unit], heads: Heads) -> list[Diagnostic]:
    """Rules of one service that say the same."""
    found = []
    seen: dict[tuple[str, int], tuple[Unit, int]] = {}
    for unit in units:
        for rule, content in enumerate(unit.texts.ids):
            key = (unit.texts.scopes[rule], content)
            first_unit, first = seen.setdefault(key, (unit, rule))
            if first_unit is not unit or first != rule:
                found.append(
                    Diagnostic(
                        code="PDP403",
                        severity=Severity.WARNING,
                        message="this rule says what another one says",
                        span=heads.span(unit, rule),
                        related=((heads.span(first_unit, first), "the same rule"),),
                        help="drop one of them",
                    )
                )
    return found


def _service_notes(block: ast.ServiceBlock, endings: Mapping[Span, Span]) -> list[Diagnostic]:
    found = [d for item in block.items if isinstance(item, ast.Rule) for d in _rule_notes(item, endings)]
    for item in block.items:
        if isinstance(item, ast.BulkGrants):
            found += _dates(item.clause, item.span)
    if block.observe_until is not None:
        message = f"service `{block.name.text}` is observed: until its date, what no rule allows is let pass"
        found.append(Diagnostic(code="PDP404", severity=Severity.NOTE, message=message, span=block.name.span))
    return found


def _dates(clause: ast.Clause, span: Span) -> list[Diagnostic]:
    if clause.valid_from is None or clause.until is None or clause.valid_from < clause.until:
        return []
    return [_error("PDP339", "the rule ends before it begins", span, "`until` lies after `from`")]


def _rule_notes(rule: ast.Rule, endings: Mapping[Span, Span]) -> list[Diagnostic]:
    span = endings.get(rule.span, rule.span)
    if rule.effect is Effect.DENY and rule.clause.until is not None and not rule.shadow:
        message = "this deny ends by itself, and what it held back is then open to the allows"
        note = Diagnostic(code="PDP402", severity=Severity.NOTE, message=message, span=span)
        return [note, *_dates(rule.clause, span)]
    return _dates(rule.clause, span)


def _expression(
    expr: ast.Expr, environment: Environment, resolver: Resolver, directory: str
) -> list[Diagnostic]:
    """Check an expression outside a rule. Captures may be bound by the rules that use it."""
    found: list[Diagnostic] = []
    compiler = ConditionCompiler(
        environment=environment,
        directory=directory,
        captures=_AnyCapture(),
        atom=lambda term: 0 if resolver.nonempty(term) is not None else None,
        diagnostics=found,
    )
    compiler.compile(expr)
    return found


class _AnyCapture(dict[str, Place]):
    """Every capture is bound, somewhere."""

    def get(self, key: str, default: object = None) -> Place:
        del key, default
        return Place(principal=True, index=0)


def _invariant(
    item: ast.Invariant, environment: Environment, resolver: Resolver, directory: str
) -> list[Diagnostic]:
    found = _roles(item.targets, environment, directory)
    for term in (*item.principals.terms, *item.principals.excluded):
        resolver.term(term)
    for user in item.users:
        found += _issuer(user, environment)
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


def _issuer(user: ast.UserPattern, environment: Environment) -> list[Diagnostic]:
    if not user.issuer or user.issuer in environment.issuers or user.issuer in environment.damaged:
        return []
    help_ = did_you_mean(user.issuer, environment.issuers)
    help_ = help_ or f'declare it: `issuer {user.issuer} = "https://..."`'
    return [_error("PDP229", f"unknown issuer `{user.issuer}`", user.span, help_)]


def _error(code: str, message: str, span: Span, help_: str = "") -> Diagnostic:
    return Diagnostic(code=code, message=message, span=span, help=help_)
