"""The tests that stand beside policies: from a case to a request, and to whether it holds.

Pure: the instant of cases without one comes in as an argument. What a case says is in
`docs/language-reference.md`, section 9; how results are shown is `pdp.cli.test`'s business.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, final

from pdp.compiler.attributes import attribute_type
from pdp.compiler.rule_texts import RuleText
from pdp.engine.decide import decide
from pdp.index.rule_index import RuleIndex
from pdp.lang import ast
from pdp.principals import ANONYMOUS, Principal, PrincipalKind, dns_principal
from pdp.vocabulary import FAMILIES, AttributeValue, Decision, Millis, Reason, Request, User

__all__ = ["Names", "Outcome", "families", "names_of", "request_of", "run_case"]

# `by default`: no rule decided. An ambiguous path or method is no default.
_DEFAULTS: Final = frozenset({Reason.NO_RULE_MATCHED, Reason.UNKNOWN_SERVICE, Reason.OBSERVED})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the aliases in test cases stand for.

    Attributes:
        trust_domains: Trust domains by alias.
        issuers: Issuers' URLs by alias.
    """

    trust_domains: Mapping[str, str]
    issuers: Mapping[str, str]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one case.

    Attributes:
        request: The question that was asked.
        decision: The answer.
        rules: The deciding rules.
        passed: Whether the case holds.
    """

    request: Request
    decision: Decision
    rules: tuple[RuleText, ...]
    passed: bool


def names_of(files: Iterable[ast.File]) -> Names:
    """The aliases of a policy set without errors."""
    items = [item for file in files for item in file.items]
    return Names(
        trust_domains={
            item.name.text: item.domain for item in items if isinstance(item, ast.TrustDomainDecl)
        },
        issuers={item.name.text: item.url for item in items if isinstance(item, ast.IssuerDecl)},
    )


def families(index: RuleIndex) -> frozenset[str]:
    """Every family of attributes, those of declared attributes included."""
    return FAMILIES | {name.partition(".")[0] for name in index.attributes}


def run_case(case: ast.TestCase, index: RuleIndex, names: Names, now: Millis) -> Outcome:
    """Ask a case's question and compare the answer."""
    request = request_of(case, index, names, now)
    decision = decide(index, request)
    rules = tuple(index.rule(request.service, rule) for rule in decision.rules)
    passed = decision.effect is case.effect and _as_expected(case, decision, rules)
    return Outcome(request=request, decision=decision, rules=rules, passed=passed)


def request_of(case: ast.TestCase, index: RuleIndex, names: Names, now: Millis) -> Request:
    """The question of a case that the compiler has checked."""
    context = {name.text: _value(name.text, values, index) for name, values in case.context}
    supplied = families(index) if case.supplying is None else frozenset(name.text for name in case.supplying)
    return Request(
        principal=_principal(case.principal, names),
        service=case.service.text,
        method=case.method,
        path=case.path,
        now=now if case.at is None else case.at,
        user=None if case.user is None else _user(case.user, names, context),
        context=context,
        supplied=supplied,
    )


def _as_expected(case: ast.TestCase, decision: Decision, rules: tuple[RuleText, ...]) -> bool:
    match case.expectation:
        case ast.Expectation.ANY:
            return True
        case ast.Expectation.DEFAULT:
            return decision.reason in _DEFAULTS
        case ast.Expectation.RULE:
            wanted = case.rule.text if case.rule is not None else ""
            return any(wanted in {rule.name, rule.name.partition("/")[2]} for rule in rules)


def _principal(given: ast.PrincipalPattern | ast.DnsPattern | None, names: Names) -> Principal:
    if given is None:
        return ANONYMOUS
    if isinstance(given, ast.DnsPattern):
        return dns_principal(given.name)
    written_out = given.written_out
    domain = given.trust_domain if written_out else names.trust_domains[given.trust_domain]
    segments = tuple(segment.text for segment in given.segments if isinstance(segment, ast.LiteralSegment))
    id_ = f"spiffe://{domain}/{'/'.join(segments)}"
    return Principal(kind=PrincipalKind.SPIFFE, id=id_, trust_domain=domain, segments=segments)


def _user(given: ast.UserPattern, names: Names, context: Mapping[str, AttributeValue | None]) -> User:
    """The user; its groups are given as the attribute that they are."""
    groups = context.get("user.groups")
    if isinstance(groups, str):
        groups = (groups,)
    return User(
        issuer=names.issuers[given.issuer],
        subject=given.name,
        groups=groups if isinstance(groups, tuple) else (),
    )


def _value(name: str, values: tuple[ast.Value, ...] | None, index: RuleIndex) -> AttributeValue | None:
    """A value in the form of the attribute's type; None for `absent`."""
    if not values:
        return None
    plain = [value.text if isinstance(value, ast.AddressValue) else value.value for value in values]
    if attribute_type(name, index.attributes) is ast.AttributeType.STRINGS:
        return tuple(str(value) for value in plain)
    return plain[0]
