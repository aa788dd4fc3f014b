"""What is checked over the whole set, once every file is lowered.

Errors keep a version from being served; warnings and notes are what a reviewer should see.
Whether rules can matter at all is the business of `pdp.analysis`.
"""

from collections.abc import Iterable, Sequence

from pdp.compiler.attributes import attribute_type, type_problem
from pdp.compiler.conditions import ConditionCompiler
from pdp.compiler.conflicts import conflicting_obligations
from pdp.compiler.environment import Environment
from pdp.compiler.evaluation import Place
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
    found: list[Diagnostic] = []
    for group in environment.groups.values():
        resolver.term(ast.GroupRef(name=group.name.text, span=group.name.span))
    found += conflicting_obligations(units, numbers)
    found += _repeated(units)
    for file in parsed:
        directory = file.file.path.rpartition("/")[0]
        for item in file.file.items:
            match item:
                case ast.TestBlock(cases=cases):
                    found += [d for case in cases for d in _test_case(case, environment, resolver)]
                case ast.Invariant():
                    found += _invariant(item, environment, resolver, directory)
                case ast.ConditionDecl(expr=expr):
                    found += _expression(expr, environment, resolver, directory)
                case ast.ServiceBlock():
                    found += _service_notes(item)
                case ast.Rule():
                    found += _rule_notes(item)
                case _:
                    pass
    return [*found, *resolver.diagnostics[before:]]


def _repeated(units: Iterable[Unit]) -> list[Diagnostic]:
    """Rules of one service that say the same."""
    found = []
    seen: dict[tuple[str, int], tuple[Unit, int]] = {}
    for unit in units:
        for rule, content in enumerate(unit.texts.ids):
            key = (unit.texts.scopes[rule], content)
            first_unit, first = seen.setdefault(key, (unit, rule))
            if (first_unit, first) != (unit, rule) and (first_unit is not unit or first != rule):
                at = Span(
                    file=unit.texts.file, start=unit.texts.starts[rule], end=unit.texts.starts[rule] + 1
                )
                start = first_unit.texts.starts[first]
                where = Span(file=first_unit.texts.file, start=start, end=start)
                found.append(
                    Diagnostic(
                        code="PDP403",
                        severity=Severity.WARNING,
                        message="this rule says what another one says",
                        span=at,
                        related=((where, "the same rule"),),
                        help="drop one of them",
                    )
                )
    return found


def _service_notes(block: ast.ServiceBlock) -> list[Diagnostic]:
    found = [d for item in block.items if isinstance(item, ast.Rule) for d in _rule_notes(item)]
    if block.observe_until is not None:
        message = f"service `{block.name.text}` is observed: until its date, what no rule allows is let pass"
        found.append(Diagnostic(code="PDP404", severity=Severity.NOTE, message=message, span=block.name.span))
    return found


def _rule_notes(rule: ast.Rule) -> list[Diagnostic]:
    if rule.effect is Effect.DENY and rule.clause.until is not None and not rule.shadow:
        message = "this deny ends by itself, and what it held back is then open to the allows"
        return [Diagnostic(code="PDP402", severity=Severity.NOTE, message=message, span=rule.span)]
    return []


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
    found: list[Diagnostic] = []
    for term in (*item.principals.terms, *item.principals.excluded):
        resolver.term(term)
    for target in item.targets:
        if isinstance(target, ast.RoleRef) and environment.role(target.name, directory) is None:
            found.append(_error("PDP227", f"unknown role `{target.name}`", target.span))
    if not isinstance(item.services, ast.AnyService):
        for name in item.services:
            found += _service(name, environment)
    if item.when is not None:
        found += _expression(item.when, environment, resolver, directory)
    return found


def _service(name: ast.Name, environment: Environment) -> list[Diagnostic]:
    if name.text in environment.services or name.text in environment.damaged:
        return []
    help_ = did_you_mean(name.text, environment.services) or "declare it: `service NAME { ... }`"
    return [_error("PDP225", f"unknown service `{name.text}`", name.span, help_)]


def _test_case(case: ast.TestCase, environment: Environment, resolver: Resolver) -> list[Diagnostic]:
    found = _service(case.service, environment)
    if isinstance(case.principal, ast.PrincipalPattern):
        literal = all(isinstance(segment, ast.LiteralSegment) for segment in case.principal.segments)
        if literal and case.principal.trust_domain != "*":
            resolver.term(case.principal)
        else:
            help_ = "write every segment out"
            found.append(_error("PDP106", "a test names one exact principal", case.principal.span, help_))
    elif isinstance(case.principal, ast.DnsPattern) and case.principal.name.startswith("*"):
        found.append(_error("PDP106", "a test names one exact principal", case.principal.span))
    if case.user is not None:
        found += _test_user(case.user, environment)
    for name, values in case.context:
        found += _test_attribute(name, values, environment)
    for family in case.supplying or ():
        if family.text not in environment.families:
            help_ = did_you_mean(family.text, environment.families)
            found.append(
                _error("PDP230", f"unknown family of attributes `{family.text}`", family.span, help_)
            )
    return found


def _test_user(user: ast.UserPattern, environment: Environment) -> list[Diagnostic]:
    if user.kind is not ast.UserKind.SUBJECT:
        return [_error("PDP109", "a test names one user", user.span, "write `on behalf of ISSUER/SUBJECT`")]
    if user.issuer not in environment.issuers and user.issuer not in environment.damaged:
        help_ = did_you_mean(user.issuer, environment.issuers)
        return [_error("PDP229", f"unknown issuer `{user.issuer}`", user.span, help_)]
    return []


def _test_attribute(
    name: ast.Name, values: tuple[ast.Value, ...] | None, environment: Environment
) -> list[Diagnostic]:
    type_ = attribute_type(name.text, environment.attributes)
    if isinstance(type_, str):
        return [_error("PDP206", f"unknown attribute `{name.text}`", name.span, type_)]
    if values is None:
        return []
    if len(values) > 1 and type_ is not ast.AttributeType.STRINGS:
        return [_error("PDP331", f"`{name.text}` holds one {type_.value}", name.span)]
    for value in values:
        plain = value.text if isinstance(value, ast.AddressValue) else value.value
        if type_problem(type_, plain):
            return [_error("PDP332", f"`{name.text}` is of type `{type_.value}`", value.span)]
    return []


def _error(code: str, message: str, span: Span, help_: str = "") -> Diagnostic:
    return Diagnostic(code=code, message=message, span=span, help=help_)
