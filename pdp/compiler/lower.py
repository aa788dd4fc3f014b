"""Checked rules to rows: one row for each principal term and target of a rule.

What most rows do without is made in `pdp.compiler.details`; which rules of a file or a table are
lowered, and what else is checked of it, is the business of `pdp.compiler.units`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import final

from pdp.compiler.atoms import Atom, SetAtom
from pdp.compiler.conditions import Condition, ConditionCompiler, closure, conjoin, negate, user_condition
from pdp.compiler.details import AnyCapture, bind, excepted, obligations, pairs, written
from pdp.compiler.environment import Environment
from pdp.compiler.evaluation import Place
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import ANY_METHOD, Detail, Row, RowKind, Rows
from pdp.compiler.rule_texts import RuleTexts
from pdp.compiler.unknown import unknown_issuer, unknown_service
from pdp.diagnostics import Diagnostic, Severity, Source, Span, did_you_mean
from pdp.lang import ast
from pdp.lang.printer import print_rule
from pdp.limits import MAX_CAPTURES, MAX_CONDITION_TESTS, MAX_EXCEPTIONS, MAX_METHODS, MAX_RULE_ROWS
from pdp.vocabulary import Effect

__all__ = ["PLATFORM", "Lowerer", "named_twice", "said_twice"]

PLATFORM = "platform"


def named_twice(name: ast.Name, first: Span) -> Diagnostic:
    """A rule's name that another rule of the same service has."""
    return Diagnostic(
        code="PDP226",
        message=f"rule `{name.text}` is named twice",
        span=name.span,
        help="each name is given once in a service",
        related=((first, "first named"),),
    )


def said_twice(rule: Span, first: Span) -> Diagnostic:
    """A rule that another rule of the same service repeats."""
    return Diagnostic(
        code="PDP403",
        severity=Severity.WARNING,
        message="this rule says what another one says",
        span=rule,
        related=((first, "the same rule"),),
        help="drop one of them",
    )


@final
@dataclass(slots=True, kw_only=True)
class Lowerer:
    """Lowers the rules of one file into columns of texts and of rows."""

    source: Source
    environment: Environment
    numbers: Numbers
    resolver: Resolver
    directory: str
    texts: RuleTexts
    diagnostics: list[Diagnostic] = field(default_factory=list)
    by_service: dict[str, Rows] = field(default_factory=dict)
    on_any: Rows = field(default_factory=Rows)
    _names: dict[tuple[str, str], Span] = field(default_factory=dict)
    _contents: dict[tuple[str, int], Span] = field(default_factory=dict)

    def _report(self, code: str, message: str, span: Span, help_: str = "") -> None:
        self.diagnostics.append(Diagnostic(code=code, message=message, span=span, help=help_))

    def rule(self, rule: ast.Rule, service: str | None) -> None:
        """Add a rule's rows to the services it is about."""
        services = [service] if service is not None else self._services(rule)
        number = self._describe(rule, service or PLATFORM)
        rows = self._rows(rule, number, len(services))
        for name in services:
            if name is None:
                self.on_any.extend(rows)
            else:
                self.by_service.setdefault(name, Rows()).extend(rows)

    def _services(self, rule: ast.Rule) -> list[str | None]:
        if rule.services is None:
            help_ = "write it inside a `service` block, or say `on any service` or `on NAME`"
            self._report(
                "PDP224", "a rule outside a service block says which services it is on", rule.span, help_
            )
            return []
        if isinstance(rule.services, ast.AnyService):
            return [None]
        return [name.text for name in rule.services if self._known_service(name)]

    def _known_service(self, name: ast.Name) -> bool:
        self.diagnostics += unknown_service(name, self.environment)
        return name.text in self.environment.services

    def _describe(self, rule: ast.Rule, scope: str) -> int:
        content = int.from_bytes(blake2b(print_rule(rule).encode(), digest_size=5).digest())
        first = self._contents.setdefault((scope, content), rule.span)
        if first is not rule.span:
            self.diagnostics.append(said_twice(rule.span, first))
        number = self.texts.add(
            line=self.source.position(rule.span.start)[0],
            start=rule.span.start,
            content_id=content,
            effect=rule.effect,
            shadow=rule.shadow,
            scope=scope,
        )
        clause = rule.clause
        if clause.name is not None:
            first = self._names.setdefault((scope, clause.name.text), clause.name.span)
            if first is not clause.name.span:
                self.diagnostics.append(named_twice(clause.name, first))
            self.texts.names[number] = clause.name.text
        if clause.because or clause.owner:
            self.texts.notes[number] = (clause.because or "", clause.owner or "")
        return number

    # -- rows --------------------------------------------------------------------------

    def _rows(self, rule: ast.Rule, number: int, services: int) -> list[Row]:
        excluded = self.resolver.excluded(rule.principals.excluded)
        targets = self._targets(rule.targets, [])
        self._check_clause(rule)
        if len(rule.principals.terms) * len(targets) * services > MAX_RULE_ROWS:
            message = f"a rule is about at most {MAX_RULE_ROWS} combinations of principal, target and service"
            help_ = "put the principals into a group, or name a prefix of the paths with `**`"
            self._report("PDP922", message, rule.span, help_)
            targets = []
        if not targets:
            self._condition(rule, AnyCapture())  # for what is wrong with it
        rows = []
        for term in rule.principals.terms:
            atom = self.resolver.term(term, binds=True)
            if atom is None or excluded is None:
                for target in targets:
                    self._detail(rule, term, target)  # the same
                continue
            whole: Atom = SetAtom(frozenset({atom}), excluded) if excluded else atom
            for target in targets:
                row = self._row(rule, number, whole, term, target)
                if row is not None:
                    rows.append(row)
        return rows

    def _targets(self, targets: Sequence[ast.Target | ast.RoleRef], active: list[str]) -> list[ast.Target]:
        found: list[ast.Target] = []
        for target in targets:
            if isinstance(target, ast.Target):
                found.append(target)
                continue
            role = self.environment.role(target.name, self.directory)
            if role is None:
                if target.name not in self.environment.damaged:
                    known = (name for _, name in self.environment.roles)
                    help_ = did_you_mean(target.name, known) or "declare it: `role NAME = { GET /path }`"
                    self._report("PDP227", f"unknown role `{target.name}`", target.span, help_)
            elif target.name in active:
                self._report("PDP228", f"role `{target.name}` contains itself", target.span)
            else:
                found.extend(self._targets(role.targets, [*active, target.name]))
                if len(found) > MAX_RULE_ROWS:
                    break  # more than any rule may have: that is reported, and the rest not unfolded
        return found

    def _check_clause(self, rule: ast.Rule) -> None:
        clause = rule.clause
        if clause.obligations and (rule.shadow or rule.effect is Effect.DENY):
            what = "a deny" if rule.effect is Effect.DENY else "a shadow rule"
            help_ = "only an allow that is enforced demands something"
            self._report("PDP338", f"{what} has no obligations", clause.obligations[0].span, help_)
        for user in rule.users:
            if user.issuer:
                self.diagnostics += unknown_issuer(user.issuer, user.span, self.environment)

    def _row(
        self, rule: ast.Rule, number: int, atom: Atom, term: ast.PrincipalTerm, target: ast.Target
    ) -> Row | None:
        mask = self._mask(target)
        if len(target.excluded) > MAX_EXCEPTIONS:
            help_ = "leave out a common prefix of them with `/**`, or name what is allowed instead"
            self._report("PDP914", f"a target has at most {MAX_EXCEPTIONS} exceptions", target.span, help_)
            self._detail(rule, term, target)
            return None
        detail = self._detail(rule, term, target)
        if detail is None:
            return None
        kind = RowKind.DENY if rule.effect is Effect.DENY else RowKind.ALLOW
        if rule.shadow:
            kind |= RowKind.SHADOW
        elif rule.effect is Effect.DENY or detail.obligations:
            kind |= RowKind.RESTRICTS
        if detail is not _NO_DETAIL:
            kind |= RowKind.DETAILED
        return Row(
            self.numbers.atom(atom),
            mask,
            target.path.segments,
            kind,
            number,
            None if detail is _NO_DETAIL else detail,
        )

    def _mask(self, target: ast.Target) -> int:
        if target.methods is None:
            return ANY_METHOD
        mask = 0
        for method in target.methods:
            bit = self.numbers.method(method)
            if bit is None:
                help_ = "use `any` where a rule does not distinguish methods"
                self._report(
                    "PDP915", f"a policy set names at most {MAX_METHODS} methods", target.span, help_
                )
                return mask
            mask |= bit
        return mask

    def _detail(self, rule: ast.Rule, term: ast.PrincipalTerm, target: ast.Target) -> Detail | None:
        """The rare parts of a row; None where a mistake was reported."""
        bound: dict[str, Place] = {}
        within = bind(bound, term.segments if isinstance(term, ast.PrincipalPattern) else (), principal=True)
        equalities = bind(bound, target.path.segments, principal=False)
        if len(bound) > MAX_CAPTURES:
            help_ = "write `*` for what is compared with nothing"
            self._report("PDP916", f"a rule binds at most {MAX_CAPTURES} captures", target.span, help_)
        condition, ok = self._condition(rule, bound)
        if not ok or len(bound) > MAX_CAPTURES:
            return None
        if not (within or equalities or condition or target.excluded or _has_extras(rule.clause)):
            return _NO_DETAIL
        return Detail(
            condition=condition,
            test=None if condition is None else closure(condition.term),
            equalities=pairs(equalities, principal=True),
            path_equalities=pairs(equalities, principal=False),
            principal_equalities=pairs(within, principal=True),
            exceptions=tuple(excepted(pattern, bound) for pattern in target.excluded),
            obligations=obligations(rule.clause),
            valid_from=rule.clause.valid_from,
            until=rule.clause.until,
            written=written(rule, bound) if condition or within else None,
        )

    def _condition(self, rule: ast.Rule, captures: Mapping[str, Place]) -> tuple[Condition | None, bool]:
        clause = rule.clause
        if not rule.users and clause.when is None and clause.unless is None:
            return None, True
        parts: list[Condition] = []
        compiler = ConditionCompiler(
            environment=self.environment,
            directory=self.directory,
            captures=captures,
            atom=self._number,
            diagnostics=self.diagnostics,
        )
        if rule.users:
            parts.append(user_condition(rule.users, self.environment))
        when = None if clause.when is None else compiler.compile(clause.when)
        unless = None if clause.unless is None else compiler.compile(clause.unless)
        if (when is None) is not (clause.when is None) or (unless is None) is not (clause.unless is None):
            return None, False
        parts += [when] if when is not None else []
        parts += [negate(unless)] if unless is not None else []
        condition = conjoin(parts)
        if condition.tests > MAX_CONDITION_TESTS:
            message = f"the condition comes to more than {MAX_CONDITION_TESTS} tests"
            help_ = "test for a list with `in { ... }`, or write several rules"
            self._report("PDP921", message, (clause.when or clause.unless or rule).span, help_)
            return None, False
        return condition, True

    def _number(self, term: ast.PrincipalTerm) -> int | None:
        atom = self.resolver.nonempty(term)
        return None if atom is None else self.numbers.atom(atom)


_NO_DETAIL = Detail()


def _has_extras(clause: ast.Clause) -> bool:
    return bool(clause.obligations) or clause.valid_from is not None or clause.until is not None
