"""What a policy set means: the slow interpreter that the laws are tested against.

Written from `docs/language-reference.md` (and, for methods, `docs/paths.md`) alone, in its
order and its words, to be read and not to be fast. It shares the AST and the leaf values with
`pdp` and nothing else, so that two independent readings of one definition are compared. The
numbers below are that page's.

It takes policy sets that the checker accepts; where one is not (an unknown name, a capture
that nothing binds) it raises. It leaves out what needs more than files and a request: groups
and grants that stand in tables (it raises), callers, and the readings of relaxed paths: it
decides the one canonical path it is given.

Where the page leaves room, the reading that opens less is taken and marked CLOSED.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import islice
from typing import Final, TypeAlias, TypeVar, assert_never, final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from pdp.lang import ast
from pdp.lang.ast import AttributeType, Operator, UserKind
from pdp.principals import Principal, PrincipalKind
from pdp.vocabulary import AttributeValue, Effect, Millis, Obligation, ObligationKind, Reason, Request

__all__ = ["Interpreter", "Verdict", "decide"]

T = TypeVar("T")
Captured: TypeAlias = Mapping[str, str]
Scalar: TypeAlias = str | int | IPv4Address | IPv6Address | IPv4Network | IPv6Network


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer to one request.

    Attributes:
        effect: Allow or deny.
        reason: Why.
        enforced: False only for an observed allow.
        rules: File and offset of each deciding rule.
        obligations: By kind, name and value.
        valid_until: When it may change, in milliseconds; None for never.
        shadow: Effect and reason with the shadow rules enforced, where they differ.
    """

    effect: Effect
    reason: Reason
    enforced: bool
    rules: frozenset[tuple[str, int]]
    obligations: tuple[Obligation, ...]
    valid_until: Millis | None
    shadow: tuple[Effect, Reason] | None


def decide(files: Sequence[ast.File], request: Request) -> Verdict:
    """The verdict of a policy set on a request whose path is canonical."""
    return Interpreter(files).decide(request)


# -- 1. policy sets --------------------------------------------------------------------


def _declared(files: Sequence[ast.File], kind: type[T]) -> list[T]:
    return [item for file in files for item in file.items if isinstance(item, kind)]


def _rules(files: Sequence[ast.File]) -> Iterator[tuple[ast.Rule, frozenset[str] | None]]:
    """Every rule with the services it is about; None for every service, declared or not."""
    for block in _declared(files, ast.ServiceBlock):
        for item in block.items:
            if isinstance(item, ast.BulkGrants) or (isinstance(item, ast.Rule) and item.services is not None):
                raise ValueError(f"not for this interpreter: {item}")
            if isinstance(item, ast.Rule):
                yield item, frozenset({block.name.text})
    for rule in _declared(files, ast.Rule):
        if rule.services is None:
            raise ValueError(f"no service: {rule}")
        named = (
            None
            if isinstance(rule.services, ast.AnyService)
            else frozenset(name.text for name in rule.services)
        )
        yield rule, named


@final
class _Names:
    """What the files declare, by name."""

    def __init__(self, files: Sequence[ast.File]) -> None:
        self.trust_domains = {item.name.text: item.domain for item in _declared(files, ast.TrustDomainDecl)}
        self.issuers = {item.name.text: item.url for item in _declared(files, ast.IssuerDecl)}
        self.services = {item.name.text: item for item in _declared(files, ast.ServiceBlock)}
        self.groups = {item.name.text: item for item in _declared(files, ast.GroupDecl)}
        self.attributes = {item.name.text: item.type for item in _declared(files, ast.AttributeDecl)}
        self.rules = list(_rules(files))
        # Section 7: the roles and conditions of a delegated directory are theirs alone.
        self._delegated = [item.directory.strip("/") + "/" for item in _declared(files, ast.Delegation)]
        self._roles = {
            (self._home(item.span.file), item.name.text): item for item in _declared(files, ast.RoleDecl)
        }
        self._conditions = {
            (self._home(item.span.file), item.name.text): item for item in _declared(files, ast.ConditionDecl)
        }

    def _home(self, file: str) -> str:
        """The delegated directory that a file lies in; empty for the platform."""
        return max(
            (directory for directory in self._delegated if file.startswith(directory)), key=len, default=""
        )

    def role(self, reference: ast.RoleRef) -> ast.RoleDecl:
        own = (self._home(reference.span.file), reference.name)
        return self._roles[own] if own in self._roles else self._roles["", reference.name]

    def condition(self, reference: ast.NamedCondition) -> ast.Expr:
        own = (self._home(reference.span.file), reference.name)
        return (
            self._conditions[own] if own in self._conditions else self._conditions["", reference.name]
        ).expr

    def type_of(self, attribute: str) -> AttributeType:
        if attribute in self.attributes:
            return self.attributes[attribute]
        return AttributeType.STRINGS if attribute.startswith("header.") else _KNOWN[attribute]


_KNOWN: Final = {
    "source.ip": AttributeType.ADDRESS,
    **dict.fromkeys(("tls.version", "tls.cipher", "tls.sni", "tls.alpn"), AttributeType.STRING),
    **dict.fromkeys(("request.host", "request.scheme"), AttributeType.STRING),
    "request.port": AttributeType.INT,
    **dict.fromkeys(("user.iss", "user.sub", "user.azp", "user.email"), AttributeType.STRING),
    **dict.fromkeys(("user.aud", "user.scope", "user.groups", "user.roles"), AttributeType.STRINGS),
    "user.email_verified": AttributeType.BOOL,
    **dict.fromkeys(("principal.iss", "principal.sub"), AttributeType.STRING),
    **dict.fromkeys(("principal.aud", "principal.scope"), AttributeType.STRINGS),
}


# -- 3. matching -----------------------------------------------------------------------


def _match_segment(pattern: ast.Segment, segment: str) -> bool:
    match pattern:
        case ast.LiteralSegment(text=text):
            return segment == text
        case ast.AnySegment() | ast.Capture():
            return segment != ""
        case ast.PrefixSegment(text=text):
            return segment.startswith(text)
        case ast.SuffixSegment(text=text):
            return segment.endswith(text)
        case ast.RestSegments():
            raise ValueError("`**` stands for segments, not for one")
    assert_never(pattern)


def _match(
    pattern: tuple[ast.Segment, ...], segments: tuple[str, ...], captured: Captured
) -> Captured | None:
    """What is captured once the pattern has matched, or None where it does not match.

    `captured` came before: a name that occurs again stands for an equal segment.
    """
    if ast.RestSegments() in pattern:
        before = pattern.index(ast.RestSegments())
        after = len(pattern) - before - 1
        if len(segments) < before + after:
            return None
        pattern = pattern[:before] + pattern[before + 1 :]
        segments = segments[:before] + segments[len(segments) - after :]
    if len(pattern) != len(segments):
        return None
    for part, segment in zip(pattern, segments, strict=True):
        if not _match_segment(part, segment):
            return None
        if isinstance(part, ast.Capture):
            if captured.get(part.name, segment) != segment:
                return None
            captured = {**captured, part.name: segment}
    return captured


def _match_dns(pattern: str, labels: tuple[str, ...]) -> bool:
    wanted = tuple(pattern.split("."))
    if wanted[0] == "*":
        return labels[1:] == wanted[1:]
    return labels == wanted


@final
class _Matching:
    """Who and what a rule is about, whatever its condition."""

    def __init__(self, names: _Names) -> None:
        self._names = names

    def ways(self, rule: ast.Rule, request: Request) -> list[Captured]:
        """What is captured by each term and target of the rule that match together.

        A rule is as if written once for each of them; without any the rule does not match.
        """
        if any(self.term(term, request.principal) is not None for term in rule.principals.excluded):
            return []
        return [
            captured
            for term in rule.principals.terms
            if (by_term := self.term(term, request.principal)) is not None
            for target in self._targets(rule.targets)
            if (captured := self._target(target, request, by_term)) is not None
        ]

    def term(self, term: ast.PrincipalTerm, principal: Principal) -> Captured | None:
        """What a principal term captures, or None where it does not match."""
        match term:
            case ast.PrincipalPattern():
                in_domain = term.trust_domain == "*" or self._domain(term) == principal.trust_domain
                is_id = principal.kind is PrincipalKind.SPIFFE
                return _match(term.segments, principal.segments, {}) if is_id and in_domain else None
            case ast.DnsPattern(name=name):
                matches = principal.kind is PrincipalKind.DNS and _match_dns(name, principal.segments)
            case ast.AnyPrincipalOf(trust_domain=alias):
                domain = self._names.trust_domains[alias.text]
                matches = principal.kind is PrincipalKind.SPIFFE and principal.trust_domain == domain
            case ast.AnyAuthenticated():
                matches = principal.kind is not PrincipalKind.ANONYMOUS
            case ast.Anyone():
                matches = True
            case ast.GroupRef(name=name):
                matches = self._is_member(principal, self._names.groups[name])
            case _:
                assert_never(term)
        return {} if matches else None

    def _domain(self, pattern: ast.PrincipalPattern) -> str:
        written_out = pattern.written_out
        return pattern.trust_domain if written_out else self._names.trust_domains[pattern.trust_domain]

    def _is_member(self, principal: Principal, group: ast.GroupDecl) -> bool:
        if group.file is not None:
            raise ValueError(f"not for this interpreter: the members of `{group.name.text}` stand in a file")
        some = any(self.term(term, principal) is not None for term in group.members.terms)
        return some and all(self.term(term, principal) is None for term in group.members.excluded)

    def _targets(self, targets: Iterable[ast.Target | ast.RoleRef]) -> Iterator[ast.Target]:
        for target in targets:
            if isinstance(target, ast.RoleRef):
                yield from self._targets(self._names.role(target).targets)
            else:
                yield target

    def _target(self, target: ast.Target, request: Request, by_term: Captured) -> Captured | None:
        if target.methods is not None and request.method not in target.methods:
            return None
        segments = tuple(request.path.split("/")[1:])
        captured = _match(target.path.segments, segments, by_term)
        if captured is None:
            return None
        # A capture that only the excepted path names is free there, and binds nothing elsewhere.
        excepted = any(_match(path.segments, segments, captured) is not None for path in target.excluded)
        return None if excepted else captured


# -- 4. conditions ---------------------------------------------------------------------


class _Truth(IntEnum):
    """In the order of the page: `and` is the least, `or` the greatest."""

    FALSE = 0
    UNKNOWN = 1
    TRUE = 2


def _truth(fact: bool) -> _Truth:  # noqa: FBT001 - it turns a bool into a truth value
    return _Truth.TRUE if fact else _Truth.FALSE


def _not(truth: _Truth) -> _Truth:
    return _Truth(_Truth.TRUE - truth)


class _Missing(Enum):
    """Why an attribute has no value."""

    ABSENT = "absent"
    NOT_SUPPLIED = "not supplied"


def _typed(value: AttributeValue, wanted: AttributeType) -> tuple[Scalar, ...] | None:
    """The value as a list of scalars of the attribute's type; None if it is of another type."""
    match wanted, value:
        case AttributeType.STRINGS, tuple():
            return value if all(isinstance(item, str) for item in value) else None
        case AttributeType.BOOL, bool():
            return (value,)
        case AttributeType.INT, int() if not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63:
            return (value,)
        case AttributeType.STRING, str():
            return (value,)
        case AttributeType.ADDRESS, str():
            return _address(value)
    return None


def _address(text: str) -> tuple[Scalar, ...] | None:
    """`::ffff:a.b.c.d` is the IPv4 address `a.b.c.d`."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id else (address.ipv4_mapped or address,)
    return (address,)


def _constant(value: ast.Value) -> Scalar:
    if not isinstance(value, ast.AddressValue):
        return value.value
    block = ip_network(value.text)
    mapped = block.network_address.ipv4_mapped if isinstance(block.network_address, IPv6Address) else None
    return block if mapped is None else ip_network((mapped, block.prefixlen - 96))


def _same(one: Scalar, other: Scalar) -> bool:
    """Whether two values are equal; an address is "equal" to each block that it lies in."""
    if isinstance(one, IPv4Address | IPv6Address) and isinstance(other, IPv4Network | IPv6Network):
        return one in other
    if isinstance(other, IPv4Address | IPv6Address) and isinstance(one, IPv4Network | IPv6Network):
        return other in one
    return type(one) is type(other) and one == other


def _among(values: tuple[Scalar, ...], wanted: Iterable[Scalar], *, header: bool = False) -> _Truth:
    """A list against constants, or against the one value of something else.

    A single value is a list of one, for which this is plain equality.
    """
    constants = list(wanted)
    if header:
        plain = [constant for constant in constants if "," not in str(constant)]
        if len(values) == 1 and values[0] in plain:
            return _Truth.TRUE
        maybe = any(constant in values or _may_be_a_line(constant, values) for constant in constants)
        return _Truth.UNKNOWN if maybe else _Truth.FALSE
    found = [any(_same(value, constant) for constant in constants) for value in values]
    if found == [True]:
        return _Truth.TRUE
    return _Truth.UNKNOWN if any(found) else _Truth.FALSE


def _may_be_a_line(wanted: Scalar, values: tuple[Scalar, ...]) -> bool:
    """Whether the parts of a text, between its commas, follow each other in a header's value."""
    ours = _parts(str(wanted))
    for value in values:
        theirs = _parts(str(value))
        if (
            (wanted in theirs)
            if len(ours) == 1
            else any(theirs[at : at + len(ours)] == ours for at in range(len(theirs)))
        ):
            return True
    return False


def _parts(text: str) -> list[str]:
    """What stands between the commas."""
    return [part.strip(" \t") for part in text.split(",")]


def _is_header(operand: ast.Operand) -> bool:
    return isinstance(operand, ast.AttributeOperand) and operand.name.startswith("header.")


def _compare(operator: Operator, left: tuple[Scalar, ...], right: tuple[Scalar, ...]) -> _Truth:
    if operator in {Operator.EQ, Operator.NE}:
        if len(left) > 1 and len(right) > 1:
            raise ValueError("two lists cannot be compared")
        equal = _among(left, right) if len(right) == 1 else _among(right, left)
        return equal if operator is Operator.EQ else _not(equal)
    (one,), (other,) = left, right
    if not isinstance(one, int) or not isinstance(other, int):
        raise TypeError(f"`{operator.value}` is for numbers")
    in_order = {
        Operator.LT: one < other,
        Operator.LE: one <= other,
        Operator.GT: one > other,
        Operator.GE: one >= other,
    }
    return _truth(in_order[operator])


def _is_open(window: ast.During, instant: Millis) -> bool:
    """Whether the wall clock of the zone shows one of the days and a minute in the window."""
    clock = datetime.fromtimestamp(instant // 1000, ZoneInfo(window.zone))
    return clock.weekday() in window.days and window.start <= clock.hour * 60 + clock.minute < window.end


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Conditions:
    """Tests of one request, with what one way of matching has captured."""

    names: _Names
    request: Request
    captured: Captured

    def of(self, rule: ast.Rule) -> _Truth:
        """Section 5: `when and not unless`, and the test of the user; true without any."""
        parts = []
        if rule.clause.when is not None:
            parts.append(self._test(rule.clause.when))
        if rule.clause.unless is not None:
            parts.append(_not(self._test(rule.clause.unless)))
        if rule.users:
            parts.append(max(self._user(pattern) for pattern in rule.users))
        return min(parts, default=_Truth.TRUE)

    def _user(self, pattern: ast.UserPattern) -> _Truth:
        user = self.request.user
        if user is None:
            return _Truth.FALSE if "user" in self.request.supplied else _Truth.UNKNOWN
        if pattern.kind is UserKind.ANY:
            return _Truth.TRUE
        of_issuer = user.issuer == self.names.issuers[pattern.issuer]
        named = {
            UserKind.ISSUER: True,
            UserKind.SUBJECT: user.subject == pattern.name,
            UserKind.GROUP: pattern.name in user.groups,
        }
        return _truth(of_issuer and named[pattern.kind])

    def _test(self, expr: ast.Expr) -> _Truth:
        match expr:
            case ast.And(items=items):
                return min(self._test(item) for item in items)
            case ast.Or(items=items):
                return max(self._test(item) for item in items)
            case ast.Not(item=item):
                return _not(self._test(item))
            case ast.NamedCondition():
                return self._test(self.names.condition(expr))
            case ast.PrincipalIn(term=term):
                return _truth(_Matching(self.names).term(term, self.request.principal) is not None)
            case ast.During():
                return _truth(_is_open(expr, self.request.now))
            case ast.Has() | ast.Comparison() | ast.In() | ast.Contains():
                return self._test_values(expr)
        assert_never(expr)

    def _test_values(self, expr: ast.Has | ast.Comparison | ast.In | ast.Contains) -> _Truth:
        """Tests of attributes: unknown where a value is missing, but for `has A`."""
        if isinstance(expr, ast.Has):
            found = self._attribute(expr.attribute.name)
            return _Truth.UNKNOWN if found is _Missing.NOT_SUPPLIED else _truth(found is not _Missing.ABSENT)
        if isinstance(expr, ast.Comparison):
            left, right = self._operand(expr.left), self._operand(expr.right)
            if isinstance(left, _Missing) or isinstance(right, _Missing):
                return _Truth.UNKNOWN
            if _is_header(expr.left) or _is_header(expr.right):
                ours, other = (left, right) if _is_header(expr.left) else (right, left)
                equal = _among(ours, other, header=True)
                return equal if expr.operator is Operator.EQ else _not(equal)
            return _compare(expr.operator, left, right)
        values = self._operand(expr.operand if isinstance(expr, ast.In) else expr.attribute)
        if isinstance(values, _Missing):
            return _Truth.UNKNOWN
        if isinstance(expr, ast.In):
            constants = [_constant(value) for value in expr.values]
            return _among(values, constants, header=_is_header(expr.operand))
        wanted = _constant(expr.value)
        if not _is_header(expr.attribute):
            return _truth(any(_same(value, wanted) for value in values))
        if wanted not in values and not _may_be_a_line(wanted, values):
            return _Truth.FALSE
        return _Truth.UNKNOWN if "," in str(wanted) else _Truth.TRUE

    def _operand(self, operand: ast.Operand) -> tuple[Scalar, ...] | _Missing:
        match operand:
            case ast.AttributeOperand(name=name):
                return self._attribute(name)
            case ast.CaptureOperand(name=name):
                return (self.captured[name],)
            case ast.ValueOperand(value=value):
                return (_constant(value),)
        assert_never(operand)

    def _attribute(self, name: str) -> tuple[Scalar, ...] | _Missing:
        """The values of an attribute, one unless it is a list; or why there is none."""
        family = name.partition(".")[0]
        missing = _Missing.ABSENT if family in self.request.supplied else _Missing.NOT_SUPPLIED
        user = self.request.user
        if name in {"user.iss", "user.sub", "user.groups"}:  # whatever the context says
            if user is None:
                return missing
            of_user = {"user.iss": (user.issuer,), "user.sub": (user.subject,), "user.groups": user.groups}
            return of_user[name] or missing
        value = self.request.context.get(name)
        if value is None:
            return missing
        values = _typed(value, self.names.type_of(name))
        if values is None:  # CLOSED: of a value of another type nothing is known, not even that it is there
            return _Missing.NOT_SUPPLIED
        return values or missing


# -- 5. and 6. rules and the decision --------------------------------------------------


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    effect: Effect
    reason: Reason
    rules: tuple[ast.Rule, ...] = ()

    @property
    def enforced(self) -> bool:
        return self.reason is not Reason.OBSERVED

    @property
    def obligations(self) -> tuple[Obligation, ...]:
        """The union of those of the satisfied allows, and the least of their reuse limits."""
        duties = [
            duty for rule in self.rules if self.effect is Effect.ALLOW for duty in rule.clause.obligations
        ]
        found = {_header(duty) for duty in duties if isinstance(duty, ast.HeaderObligation)}
        limits = [duty.millis for duty in duties if isinstance(duty, ast.ReuseLimit)]
        if limits:
            found.add(Obligation(ObligationKind.REUSE_AT_MOST, "", str(min(limits))))
        return tuple(sorted(found, key=lambda duty: (duty.kind.value, duty.name, duty.value)))


def _header(duty: ast.HeaderObligation) -> Obligation:
    if duty.value is None:
        return Obligation(ObligationKind.REMOVE_HEADER, duty.header)
    return Obligation(ObligationKind.SET_HEADER, duty.header, duty.value)


_OVERRIDES: Final = ("header.x-http-method-override", "header.x-method-override", "header.x-http-method")


def _is_ambiguous_method(request: Request) -> bool:
    if not re.fullmatch(r"[A-Z][A-Z0-9_-]{0,63}", request.method):  # docs/paths.md, methods and hosts
        return True
    given = [value for value in map(request.context.get, _OVERRIDES) if value not in (None, ())]
    # CLOSED: a header is a list (and absent where that is empty); only one equal value does not differ.
    return any(value != (request.method,) for value in given)


#: Rules whose principals, targets and services match, each with its ways of matching.
_Matched: TypeAlias = list[tuple[ast.Rule, list[Captured]]]


@final
class Interpreter:
    """One policy set, asked again and again."""

    def __init__(self, files: Sequence[ast.File]) -> None:
        self._names = _Names(files)
        self._matching = _Matching(self._names)

    def decide(self, request: Request) -> Verdict:
        """The verdict on a request whose path is canonical."""
        if _is_ambiguous_method(request):  # CLOSED: before any rule or name is looked at, so at any time
            refused = _Outcome(effect=Effect.DENY, reason=Reason.AMBIGUOUS_METHOD)
            return _verdict(refused, valid_until=None, shadow=None)
        matched = self._matched(request)
        outcome = self._outcome(request, matched, with_shadow=False)
        would_be = self._outcome(request, matched, with_shadow=True)
        differs = (would_be.effect, would_be.reason) != (outcome.effect, outcome.reason)
        return _verdict(
            outcome,
            valid_until=self._valid_until(request, matched, outcome),
            shadow=(would_be.effect, would_be.reason) if differs else None,
        )

    def _matched(self, request: Request) -> _Matched:
        declared = request.service in self._names.services
        return [
            (rule, ways)
            for rule, services in self._names.rules
            if services is None or (declared and request.service in services)
            if (ways := self._matching.ways(rule, request))
        ]

    def _is_satisfied(self, rule: ast.Rule, ways: list[Captured], request: Request) -> bool:
        clause = rule.clause
        if clause.valid_from is not None and request.now < clause.valid_from:
            return False
        if clause.until is not None and request.now >= clause.until:
            return False
        truths = [_Conditions(names=self._names, request=request, captured=way).of(rule) for way in ways]
        if rule.effect is Effect.ALLOW:
            return any(truth is _Truth.TRUE for truth in truths)
        return any(truth is not _Truth.FALSE for truth in truths)

    def _outcome(self, request: Request, matched: _Matched, *, with_shadow: bool) -> _Outcome:
        satisfied = [
            rule
            for rule, ways in matched
            if (with_shadow or not rule.shadow) and self._is_satisfied(rule, ways, request)
        ]
        denies = tuple(rule for rule in satisfied if rule.effect is Effect.DENY)
        allows = tuple(rule for rule in satisfied if rule.effect is Effect.ALLOW)
        service = self._names.services.get(request.service)
        if denies:
            return _Outcome(effect=Effect.DENY, reason=Reason.DENIED_BY_RULE, rules=denies)
        if service is None:
            return _Outcome(effect=Effect.DENY, reason=Reason.UNKNOWN_SERVICE)
        if allows:
            return _Outcome(effect=Effect.ALLOW, reason=Reason.ALLOWED, rules=allows)
        if service.observe_until is not None and request.now < service.observe_until:
            return _Outcome(effect=Effect.ALLOW, reason=Reason.OBSERVED)
        return _Outcome(effect=Effect.DENY, reason=Reason.NO_RULE_MATCHED)

    # -- validity ----------------------------------------------------------------------

    def _valid_until(self, request: Request, matched: _Matched, outcome: _Outcome) -> Millis | None:
        enforced = [rule for rule, _ in matched if not rule.shadow]
        service = self._names.services.get(request.service)
        if service is None:
            return None
        is_observed = service.observe_until is not None and request.now < service.observe_until
        if not is_observed and all(rule.effect is Effect.DENY for rule in enforced):
            return None  # nothing can open
        changes = self._changes(request.now, service, enforced)
        for instant in changes[:_CHANGES]:
            then = self._outcome(replace(request, now=instant), matched, with_shadow=False)
            if (then.effect, then.enforced, then.obligations) != (
                outcome.effect,
                outcome.enforced,
                outcome.obligations,
            ):
                return instant
        return changes[_CHANGES - 1] if len(changes) > _CHANGES else None

    def _changes(self, now: Millis, service: ast.ServiceBlock, rules: list[ast.Rule]) -> list[Millis]:
        """The next instants, one more than count, at which a date is reached or a window opens or closes.

        CLOSED: windows of rules that have expired or not begun are among them, since the page says
        "some matching rule" and "whatever the condition": more instants only shorten the validity.
        """
        instants: set[Millis] = set()
        dates = [service.observe_until]
        if any(_always_allows(rule) for rule in rules):
            rules = [rule for rule in rules if rule.effect is Effect.DENY or rule.clause.obligations]
            dates = []
        for rule in rules:
            dates += [rule.clause.valid_from, rule.clause.until]
            for expr in (rule.clause.when, rule.clause.unless):
                for window in self._windows(expr):
                    instants |= set(islice(_flips(window, now), _CHANGES + 1))
        instants |= {date for date in dates if date is not None and date > now}
        return sorted(instants)[: _CHANGES + 1]

    def _windows(self, expr: ast.Expr | None) -> Iterator[ast.During]:
        match expr:
            case ast.During():
                yield expr
            case ast.Not(item=item):
                yield from self._windows(item)
            case ast.And(items=items) | ast.Or(items=items):
                for item in items:
                    yield from self._windows(item)
            case ast.NamedCondition():
                yield from self._windows(self._names.condition(expr))


def _always_allows(rule: ast.Rule) -> bool:
    """Whether a matching rule allows at any instant and in any context."""
    clause = rule.clause
    limits = (clause.when, clause.unless, clause.valid_from, clause.until)
    return rule.effect is Effect.ALLOW and not rule.users and all(limit is None for limit in limits)


def _verdict(
    outcome: _Outcome, *, valid_until: Millis | None, shadow: tuple[Effect, Reason] | None
) -> Verdict:
    return Verdict(
        effect=outcome.effect,
        reason=outcome.reason,
        enforced=outcome.enforced,
        rules=frozenset((rule.span.file, rule.span.start) for rule in outcome.rules),
        obligations=outcome.obligations,
        valid_until=valid_until,
        shadow=shadow,
    )


_CHANGES: Final = 16  # section 6: "among the next 16 instants"
_MINUTE: Final = 60_000
_MINUTES_OF_DAY: Final = 1440

# A window that is ever shut opens and shuts at least once a week; a change of the clocks can swallow
# that in the one week of the change. Two changes at most fall into sixteen weeks, so at least thirteen
# weeks show two flips each: more than the seventeen that are asked for.
_HORIZON_DAYS: Final = 16 * 7


def _flips(window: ast.During, now: Millis) -> Iterator[Millis]:
    """Instants after `now` at which the window opens or closes, ascending, up to the horizon."""
    today = now // _MINUTE // _MINUTES_OF_DAY
    for day in range(today, today + _HORIZON_DAYS):
        yield from (flip for flip in _flips_of_day(window, day) if flip > now)


@lru_cache(maxsize=1 << 16)
def _flips_of_day(window: ast.During, day: int) -> tuple[Millis, ...]:
    """Instants of a UTC day, counted from the epoch, at which a window is not as one millisecond before.

    Where the zone keeps its offset all day that can only be when its clock shows midnight, the
    window's start or its end. Where it does not, every minute is tried.
    """
    first = day * _MINUTES_OF_DAY
    last = first + _MINUTES_OF_DAY - 1
    offset = _offset(window.zone, first - 1)
    if offset == _offset(window.zone, last):
        marks = (0, window.start, window.end)
        minutes = sorted({first + (mark - offset - first) % _MINUTES_OF_DAY for mark in marks})
    else:
        minutes = list(range(first, last + 1))
    instants = (minute * _MINUTE for minute in minutes)
    return tuple(
        instant for instant in instants if _is_open(window, instant) != _is_open(window, instant - 1)
    )


def _offset(zone: str, minute: int) -> int:
    """Minutes by which a zone is ahead of UTC; no zone has had a fraction of one since 1972."""
    ahead = datetime.fromtimestamp(minute * 60, ZoneInfo(zone)).utcoffset()
    return int(ahead.total_seconds()) // 60 if ahead is not None else 0
