"""Policy sets and requests over small alphabets, so that rules collide.

One set of generators draws from hypothesis (`policy_sets`, `requests`: shrinking) or from
`random.Random` (`random_policy_set`, `random_request`: fast, in bulk). The options of every
choice stand simplest first, which is the direction hypothesis shrinks in.

What is generated keeps the static rules of `docs/language-reference.md`: names are declared
once and before the compiler would miss them, captures in a condition are bound, groups and
excluded terms capture nothing, no empty group stands after `except` or in a condition, types
agree, and a header is given one value or removed, never both.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol, TypeVar, final

from hypothesis import strategies as st

from pdp.diagnostics import Span
from pdp.lang import ast
from pdp.lang.ast import AttributeType, Operator, SpiffeForm, UserKind
from pdp.lang.printer import print_file
from pdp.principals import ANONYMOUS, Principal, dns_principal, spiffe_principal
from pdp.vocabulary import AttributeValue, Effect, Millis, Request, User

__all__ = ["NOW", "as_text", "policy_sets", "random_policy_set", "random_request", "requests"]

T = TypeVar("T")

#: 2027-03-27T12:00Z, a Saturday. Berlin puts its clocks forward that night by an hour, Lord
#: Howe puts them back by half an hour a week later: both lie inside what `valid_until` sees.
NOW: Final[Millis] = 1_806_148_800_000

_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
#: Where dates of rules lie, in whole seconds as text has them; requests are asked at and beside them.
_DATES: Final = (NOW, NOW + _HOUR, NOW + 2 * _DAY, NOW - _DAY, NOW + 400 * _DAY)

_DOMAINS: Final = {"prod": "prod.test", "dev": "dev.test"}
_ISSUERS: Final = {"corp": "https://corp.test", "other": "https://other.test"}
_SUBJECTS: Final = ("alice", "bob")
_STAFF: Final = ("admins", "devs")
_LETTERS: Final = ("a", "b")
_DNS_NAMES: Final = ("a.test", "b.test", "a.b.test")
_PATH_WORDS: Final = ("a", "b", "ab", "x.png")
_CAPTURES: Final = ("c", "d")
_METHODS: Final = ("GET", "POST", "PUT")
_SERVICES: Final = ("s", "t")
_VALUES: Final = ("a", "b", "x")
_LEVELS: Final = (1, 2, 3)
_BLOCKS: Final = ("10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "::ffff:10.1.0.0/112", "10.1.2.3")
_ADDRESSES: Final = ("10.1.2.3", "10.2.0.1", "192.0.2.1", "::ffff:10.1.2.3", "2001:db8::1", "2001:db9::1")
_FAMILIES: Final = ("header", "source", "user", "mesh")
_LISTS: Final = ("header.x-a", "user.scope", "user.groups")
_TEXTS: Final = ("mesh.zone", "user.sub", "user.iss")

# Sundays at the hours that the clocks skip or repeat, working hours, and windows that abut or never shut.
_DAYS: Final = (tuple(range(7)), (0, 1, 2, 3, 4), (6,), (5, 6))
_CLOCKS: Final = ((540, 1020), (0, 1440), (90, 120), (120, 150), (150, 180), (1020, 1440))
_ZONES: Final = ("Europe/Berlin", "Australia/Lord_Howe")


class _Choices(Protocol):
    """Where decisions come from."""

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""

    def one_in(self, n: int) -> bool:
        """True once in `n` times."""


@final
class _RandomChoices:
    def __init__(self, rng: Random) -> None:
        self._random = rng.random

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self._random() * len(options))]

    def one_in(self, n: int) -> bool:
        return self._random() * n < 1


@final
class _DrawnChoices:
    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self._draw = draw

    def pick(self, options: Sequence[T]) -> T:
        return options[self._draw(st.integers(0, len(options) - 1))]

    def one_in(self, n: int) -> bool:
        return self._draw(st.integers(0, n - 1)) == n - 1


@st.composite
def policy_sets(draw: st.DrawFn) -> tuple[ast.File, ...]:
    """Policy sets that the checker accepts."""
    return _policy_set(_DrawnChoices(draw))


@st.composite
def requests(draw: st.DrawFn, files: Sequence[ast.File] = ()) -> Request:
    """Requests over the alphabets of `policy_sets`, paths canonical; most are aimed at a rule of `files`."""
    return _request(_DrawnChoices(draw), files)


def random_policy_set(rng: Random) -> tuple[ast.File, ...]:
    """One policy set that the checker accepts."""
    return _policy_set(_RandomChoices(rng))


def random_request(rng: Random, files: Sequence[ast.File] = ()) -> Request:
    """One request over those alphabets, path canonical; most are aimed at a rule of `files`."""
    return _request(_RandomChoices(rng), files)


def as_text(files: Sequence[ast.File]) -> dict[str, str]:
    """The files' text by path: what would have to be written to get these sets."""
    return {file.path: print_file(file) for file in files}


def _some(choices: _Choices, most: int, make: Callable[[], T], least: int = 1) -> tuple[T, ...]:
    return tuple(make() for _ in range(choices.pick(range(least, most + 1))))


# -- principals and users --------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """A group that was declared; `solid` where it surely has members and may stand anywhere."""

    name: str
    solid: bool


@final
class _Terms:
    """Principal terms, users, paths and targets."""

    def __init__(self, choices: _Choices, span: Callable[[], Span]) -> None:
        self.choices = choices
        self.span = span
        self.groups: list[_Group] = []
        self.roles: dict[str, tuple[ast.Target, ...]] = {}

    def name(self, text: str) -> ast.Name:
        return ast.Name(text=text, span=self.span())

    def principal_set(self) -> ast.PrincipalSet:
        """Of a rule: captures and any group in its terms, neither in what it excludes."""
        terms = _some(self.choices, 2, lambda: self.term(captures=True))
        excluded = _some(self.choices, 2, self.excluded) if self.choices.one_in(4) else ()
        return ast.PrincipalSet(terms=terms, excluded=excluded, span=self.span())

    def excluded(self) -> ast.PrincipalTerm:
        """What may stand after `except` and `principal in`."""
        solid = [group.name for group in self.groups if group.solid]
        if solid and self.choices.one_in(2):
            return ast.GroupRef(name=self.choices.pick(solid), span=self.span())
        return self.choices.pick((self.pattern, self.dns, self.of_domain, self.authenticated))()

    def term(self, *, captures: bool) -> ast.PrincipalTerm:
        kind = self.choices.pick(
            ("pattern", "anyone", "pattern", "domain", "pattern", "authenticated", "dns", "group", "group")
        )
        if kind == "pattern":
            return self.pattern(captures=captures)
        if kind == "group" and self.groups:
            return ast.GroupRef(name=self.choices.pick(self.groups).name, span=self.span())
        others = {"domain": self.of_domain, "authenticated": self.authenticated, "dns": self.dns}
        return others[kind]() if kind in others else ast.Anyone(span=self.span())

    def authenticated(self) -> ast.PrincipalTerm:
        return ast.AnyAuthenticated(span=self.span())

    def of_domain(self) -> ast.PrincipalTerm:
        return ast.AnyPrincipalOf(
            trust_domain=self.name(self.choices.pick(tuple(_DOMAINS))), span=self.span()
        )

    def dns(self) -> ast.PrincipalTerm:
        name = self.choices.pick((*_DNS_NAMES, "*.test", "*.b.test"))
        return ast.DnsPattern(name=name, span=self.span())

    def pattern(self, *, captures: bool = False) -> ast.PrincipalTerm:
        choices = self.choices
        domain = choices.pick(("prod", "prod", "dev", "*"))
        if choices.one_in(4):
            return self._short_form(domain, captures=captures)
        count = choices.pick((1, 2, 2, 3))
        segments = [self._principal_segment(captures=captures) for _ in range(count)]
        if choices.one_in(4):
            segments[-1] = ast.RestSegments()
        if domain != "*" and choices.one_in(4):
            return self._spiffe(_DOMAINS[domain], segments, SpiffeForm.URI)
        return self._spiffe(domain, segments, SpiffeForm.PATH)

    def _short_form(self, domain: str, *, captures: bool) -> ast.PrincipalPattern:
        namespace = self._principal_segment(captures=captures)
        form, account = SpiffeForm.NAMESPACE, _ANY
        if self.choices.one_in(2):
            form, account = SpiffeForm.SERVICE_ACCOUNT, self._principal_segment(captures=captures)
        segments = [ast.LiteralSegment(text="ns"), namespace, ast.LiteralSegment(text="sa"), account]
        return self._spiffe(domain, segments, form)

    def _spiffe(self, domain: str, segments: list[ast.Segment], form: SpiffeForm) -> ast.PrincipalPattern:
        return ast.PrincipalPattern(
            trust_domain=domain,
            segments=tuple(segments),
            written_out=form is SpiffeForm.URI,
            form=form,
            span=self.span(),
        )

    def _principal_segment(self, *, captures: bool) -> ast.Segment:
        return self.choices.pick(_PRINCIPAL_SEGMENTS if captures else _PRINCIPAL_SEGMENTS[:4])

    def user(self) -> ast.UserPattern:
        kind = self.choices.pick((UserKind.ANY, UserKind.ISSUER, UserKind.SUBJECT, UserKind.GROUP))
        names = {UserKind.SUBJECT: _SUBJECTS, UserKind.GROUP: _STAFF}.get(kind, ("",))
        issuer = "" if kind is UserKind.ANY else self.choices.pick(tuple(_ISSUERS))
        return ast.UserPattern(kind=kind, issuer=issuer, name=self.choices.pick(names), span=self.span())

    # -- targets -----------------------------------------------------------------------

    def targets(self) -> tuple[ast.Target | ast.RoleRef, ...]:
        return _some(self.choices, 2, self._target_or_role)

    def _target_or_role(self) -> ast.Target | ast.RoleRef:
        if self.roles and self.choices.one_in(6):
            return ast.RoleRef(name=self.choices.pick(tuple(self.roles)), span=self.span())
        return self.target()

    def target(self) -> ast.Target:
        choices = self.choices
        if choices.one_in(20):
            last = choices.pick((_B, _ANY))
            path = ast.PathPattern(segments=(ast.LiteralSegment(text="a"), last), span=self.span())
            return ast.Target(methods=("POST",), path=path, call=True, span=self.span())
        path = ast.PathPattern(segments=self._path(), span=self.span())
        excepted = choices.one_in(3)
        excluded = _some(choices, 2, lambda: self._excepted(path.segments)) if excepted else ()
        methods = choices.pick((("GET",), None, None, ("GET", "POST"), ("PUT",)))
        return ast.Target(methods=methods, path=path, excluded=excluded, span=self.span())

    def _path(self) -> tuple[ast.Segment, ...]:
        choices = self.choices
        segments = [choices.pick(_PATH_SEGMENTS) for _ in range(choices.pick((1, 2, 2, 3, 0)))]
        if choices.one_in(3):
            segments += [
                ast.RestSegments(),
                *(choices.pick(_PATH_SEGMENTS) for _ in range(choices.pick((0, 0, 1, 2)))),
            ]
        if not segments or choices.one_in(8):
            segments.append(ast.LiteralSegment(text=""))
        return tuple(segments)

    def _excepted(self, path: tuple[ast.Segment, ...]) -> ast.PathPattern:
        """A path near the target's own, so that it takes something away; `{e}` is always free."""
        segments = self._path()
        if self.choices.one_in(2):
            at = self.choices.pick(range(len(path)))
            if path[at] != ast.LiteralSegment(text=""):
                segment = self.choices.pick((*_PATH_SEGMENTS, ast.Capture(name="e")))
                segments = (*path[:at], segment, *path[at + 1 :])
        return ast.PathPattern(segments=segments, span=self.span())

    def bound(
        self, principals: ast.PrincipalSet, targets: Iterable[ast.Target | ast.RoleRef]
    ) -> tuple[str, ...]:
        """Captures that a condition of the rule may name: in every term, or in every target."""
        flat = [
            target
            for item in targets
            for target in (self.roles[item.name] if isinstance(item, ast.RoleRef) else (item,))
        ]
        by_term = [getattr(term, "segments", ()) for term in principals.terms]
        by_path = [target.path.segments for target in flat]
        return tuple(
            name
            for name in _CAPTURES
            if all(ast.Capture(name=name) in segments for segments in by_term)
            or all(ast.Capture(name=name) in segments for segments in by_path)
        )


_ANY: Final[ast.Segment] = ast.AnySegment()
_B: Final[ast.Segment] = ast.LiteralSegment(text="b")
_PRINCIPAL_SEGMENTS: Final[tuple[ast.Segment, ...]] = (
    ast.LiteralSegment(text="a"),
    ast.LiteralSegment(text="b"),
    ast.LiteralSegment(text="a"),
    ast.AnySegment(),
    ast.Capture(name="c"),
    ast.Capture(name="d"),
)
_PATH_SEGMENTS: Final[tuple[ast.Segment, ...]] = (
    *(ast.LiteralSegment(text=word) for word in _PATH_WORDS),
    ast.AnySegment(),
    ast.AnySegment(),
    ast.Capture(name="c"),
    ast.Capture(name="c"),
    ast.Capture(name="d"),
    ast.PrefixSegment(text="a"),
    ast.SuffixSegment(text="b"),
    ast.SuffixSegment(text=".png"),
)


# -- conditions ------------------------------------------------------------------------


@final
class _Conditions:
    """Conditions whose types agree."""

    def __init__(self, terms: _Terms) -> None:
        self.terms = terms
        self.choices = terms.choices
        self.span = terms.span
        self.named: list[str] = []

    def expr(self, captures: tuple[str, ...], depth: int = 2, beneath: str = "") -> ast.Expr:
        """A condition; the parser never puts an `and` right beneath an `and`, so neither does this."""
        shapes = ["leaf", "leaf", "not", *(word for word in ("and", "or") if word != beneath)]
        shape = self.choices.pick(shapes) if depth else "leaf"
        if shape == "leaf":
            return self._leaf(captures)
        if shape == "not":
            return ast.Not(item=self.expr(captures, depth - 1), span=self.span())
        items = _some(self.choices, 3, lambda: self.expr(captures, depth - 1, shape), least=2)
        return (ast.And if shape == "and" else ast.Or)(items=items, span=self.span())

    def _leaf(self, captures: tuple[str, ...]) -> ast.Expr:
        leaves = [
            self._list,
            self._number,
            self._text,
            self._address,
            self._has,
            self._principal,
            self._window,
        ]
        leaves += [self._pair]
        if self.named:
            leaves.append(self._reference)
        if captures:
            leaves += [lambda: self._capture(captures)] * 4
        return self.choices.pick(leaves)()

    def _attribute(self, name: str) -> ast.AttributeOperand:
        return ast.AttributeOperand(name=name, span=self.span())

    def _constant(self, value: str | int) -> ast.Value:
        if isinstance(value, int):
            return ast.IntValue(value=value, span=self.span())
        return ast.StringValue(value=value, span=self.span())

    def _compare(self, operator: Operator, left: ast.Operand, right: ast.Operand) -> ast.Expr:
        return ast.Comparison(operator=operator, left=left, right=right, span=self.span())

    def _with(self, name: str, values: Sequence[str | int], operators: Sequence[Operator]) -> ast.Expr:
        """A comparison with a constant, or membership in some."""
        left = self._attribute(name)
        operator = self.choices.pick((*operators, None))
        if operator is None:
            wanted = dict.fromkeys(_some(self.choices, 2, lambda: self.choices.pick(values)))
            return ast.In(operand=left, values=tuple(map(self._constant, wanted)), span=self.span())
        right = ast.ValueOperand(value=self._constant(self.choices.pick(values)), span=self.span())
        return self._compare(operator, left, right)

    def _list(self) -> ast.Expr:
        name = self.choices.pick(_LISTS)
        values = _STAFF if name == "user.groups" else _VALUES
        if self.choices.one_in(3):
            value = self._constant(self.choices.pick(values))
            return ast.Contains(attribute=self._attribute(name), value=value, span=self.span())
        return self._with(name, values, _EQUALITY)

    def _number(self) -> ast.Expr:
        return self._with("user.level", _LEVELS, tuple(Operator))

    def _text(self) -> ast.Expr:
        name = self.choices.pick(_TEXTS)
        values = {"user.sub": _SUBJECTS, "user.iss": tuple(_ISSUERS.values())}.get(name, _VALUES)
        return self._with(name, values, _EQUALITY)

    def _address(self) -> ast.Expr:
        left = self._attribute("source.ip")
        if self.choices.one_in(4):
            value = ast.AddressValue(text=self.choices.pick(("10.1.2.3", "2001:db8::1")), span=self.span())
            return self._compare(
                self.choices.pick(_EQUALITY), left, ast.ValueOperand(value=value, span=self.span())
            )
        blocks = dict.fromkeys(_some(self.choices, 2, lambda: self.choices.pick(_BLOCKS)))
        values = tuple(ast.AddressValue(text=block, span=self.span()) for block in blocks)
        return ast.In(operand=left, values=values, span=self.span())

    def _has(self) -> ast.Expr:
        name = self.choices.pick(
            ("header.x-a", "source.ip", "user.level", "user.sub", "user.groups", "mesh.zone")
        )
        return ast.Has(attribute=self._attribute(name), span=self.span())

    def _principal(self) -> ast.Expr:
        return ast.PrincipalIn(term=self.terms.excluded(), span=self.span())

    def _window(self) -> ast.Expr:
        start, end = self.choices.pick(_CLOCKS)
        days, zone = self.choices.pick(_DAYS), self.choices.pick(_ZONES)
        return ast.During(days=days, start=start, end=end, zone=zone, span=self.span())

    def _reference(self) -> ast.Expr:
        return ast.NamedCondition(name=self.choices.pick(self.named), span=self.span())

    def _pair(self) -> ast.Expr:
        """Two attributes, one of them a list at most."""
        one, other = self.choices.pick(
            (("header.x-a", "mesh.zone"), ("mesh.zone", "header.x-a"), ("user.sub", "mesh.zone"))
        )
        return self._compare(self.choices.pick(_EQUALITY), self._attribute(one), self._attribute(other))

    def _capture(self, captures: tuple[str, ...]) -> ast.Expr:
        """A capture against an attribute or against the other capture."""
        captured: list[ast.Operand] = [ast.CaptureOperand(name=name, span=self.span()) for name in captures]
        others = [self._attribute(name) for name in ("mesh.zone", "header.x-a", "user.scope")]
        left = self.choices.pick(captured)
        right = self.choices.pick([*others, *(other for other in captured if other is not left)])
        pair = (left, right) if self.choices.one_in(2) else (right, left)
        return self._compare(self.choices.pick(_EQUALITY), *pair)


_EQUALITY: Final = (Operator.EQ, Operator.NE)


# -- rules and files -------------------------------------------------------------------


@final
class _Spans:
    """A span of its own for every node."""

    def __init__(self) -> None:
        self.file = ""
        self._next = 0

    def __call__(self) -> Span:
        self._next += 1
        return Span(file=self.file, start=self._next, end=self._next + 1)


@final
class _Set:
    """One policy set in the making."""

    def __init__(self, choices: _Choices) -> None:
        self.choices = choices
        self.span = _Spans()
        self.terms = _Terms(choices, self.span)
        self.conditions = _Conditions(self.terms)

    def name(self, text: str) -> ast.Name:
        return self.terms.name(text)

    def declarations(self) -> list[ast.Item]:
        span, name = self.span, self.name
        items: list[ast.Item] = [
            *(
                ast.TrustDomainDecl(name=name(alias), domain=domain, span=span())
                for alias, domain in _DOMAINS.items()
            ),
            *(ast.IssuerDecl(name=name(alias), url=url, span=span()) for alias, url in _ISSUERS.items()),
            ast.AttributeDecl(name=name("user.level"), type=AttributeType.INT, span=span()),
            ast.AttributeDecl(name=name("mesh.zone"), type=AttributeType.STRING, span=span()),
        ]
        items += [self.group(f"g{number}") for number in range(self.choices.pick(range(4)))]
        items += [self.role(f"r{number}") for number in range(self.choices.pick(range(3)))]
        items += [self.condition(f"q{number}") for number in range(self.choices.pick(range(3)))]
        return items

    def group(self, name: str) -> ast.GroupDecl:
        """Empty, plain (solid), broad with exceptions (solid), or any mixture of earlier ones."""
        terms, kind = self.terms, self.choices.pick(("plain", "broad", "mixed", "empty"))
        members: tuple[ast.PrincipalTerm, ...] = ()
        excluded: tuple[ast.PrincipalTerm, ...] = ()
        if kind == "plain":
            members = _some(self.choices, 2, terms.excluded)
        elif kind == "broad":
            members = (terms.of_domain(),)
            excluded = _some(self.choices, 2, self.single)
        elif kind == "mixed":
            members = _some(self.choices, 3, lambda: terms.term(captures=False))
            excluded = _some(self.choices, 2, terms.excluded) if self.choices.one_in(2) else ()
        terms.groups.append(_Group(name=name, solid=kind in {"plain", "broad"}))
        principals = ast.PrincipalSet(terms=members, excluded=excluded, span=self.span())
        return ast.GroupDecl(name=self.name(name), members=principals, span=self.span())

    def single(self) -> ast.PrincipalTerm:
        return self.choices.pick((self.terms.dns, self.exact))()

    def exact(self) -> ast.PrincipalTerm:
        segments = _some(self.choices, 2, lambda: ast.LiteralSegment(text=self.choices.pick(_LETTERS)))
        domain = self.choices.pick(tuple(_DOMAINS))
        return ast.PrincipalPattern(trust_domain=domain, segments=segments, span=self.span())

    def role(self, name: str) -> ast.RoleDecl:
        targets = _some(self.choices, 2, self.terms.target)
        self.terms.roles[name] = targets
        return ast.RoleDecl(name=self.name(name), targets=targets, span=self.span())

    def condition(self, name: str) -> ast.ConditionDecl:
        expr = self.conditions.expr(captures=())
        self.conditions.named.append(name)
        return ast.ConditionDecl(name=self.name(name), expr=expr, span=self.span())

    def rule(self, services: ast.Services | None) -> ast.Rule:
        choices = self.choices
        effect = choices.pick((Effect.ALLOW, Effect.ALLOW, Effect.DENY))
        shadow = choices.one_in(6)
        principals, targets = self.terms.principal_set(), self.terms.targets()
        users = _some(choices, 2, self.terms.user) if choices.one_in(5) else ()
        captures = self.terms.bound(principals, targets)
        return ast.Rule(
            effect=effect,
            shadow=shadow,
            principals=principals,
            users=users,
            targets=targets,
            services=services,
            clause=self.clause(captures, duties=effect is Effect.ALLOW and not shadow),
            span=self.span(),
        )

    def clause(self, captures: tuple[str, ...], *, duties: bool) -> ast.Clause:
        choices = self.choices
        dates = sorted(choices.pick(_DATES) for _ in range(2))
        begins, ends = choices.one_in(5), choices.one_in(5)
        return ast.Clause(
            when=self.conditions.expr(captures)
            if choices.one_in(3) or (captures and choices.one_in(2))
            else None,
            unless=self.conditions.expr(captures) if choices.one_in(5) else None,
            valid_from=dates[0] if begins and dates[0] < dates[1] else None,
            until=dates[1] if ends else None,
            obligations=_some(choices, 2, self.obligation) if duties and choices.one_in(3) else (),
        )

    def obligation(self) -> ast.HeaderObligation | ast.ReuseLimit:
        """What a header is set to follows from its name, so no two allows ever disagree."""
        header = self.choices.pick(("x-one", "x-two", "x-gone", None))
        if header is None:
            return ast.ReuseLimit(millis=self.choices.pick((30_000, 5_000, 500)), span=self.span())
        value = None if header == "x-gone" else f"value of {header}"
        return ast.HeaderObligation(header=header, value=value, span=self.span())

    def block(self, name: str) -> ast.ServiceBlock:
        observed = self.choices.pick((None, None, *_DATES[:4]))
        rules = _some(self.choices, 6, lambda: self.rule(None), least=0)
        return ast.ServiceBlock(name=self.name(name), observe_until=observed, items=rules, span=self.span())

    def platform_rule(self, services: Sequence[str]) -> ast.Rule:
        if self.choices.one_in(2):
            return self.rule(ast.AnyService(span=self.span()))
        return self.rule(tuple(self.name(service) for service in services))


def _policy_set(choices: _Choices) -> tuple[ast.File, ...]:
    making = _Set(choices)
    services = choices.pick((*(_SERVICES,) * 5, _SERVICES[:1]))
    making.span.file = "main.policy"
    items = making.declarations()
    rules = _some(choices, 3, lambda: making.platform_rule(services), least=0)
    files = [ast.File(path="main.policy", items=(*items, *rules))]
    for service in services:
        making.span.file = f"{service}/{service}.policy"
        files.append(ast.File(path=making.span.file, items=(making.block(service),)))
    return tuple(reversed(files)) if choices.one_in(2) else tuple(files)


# -- requests --------------------------------------------------------------------------


def _request(choices: _Choices, files: Sequence[ast.File]) -> Request:
    """A request; two in three are aimed at some rule of `files`, so that wildcards and captures are hit."""
    principal, service, path = choices.pick(_PRINCIPALS), choices.pick(_ASKED), _request_path(choices)
    method = choices.pick(("DELETE", "get", "", "GET ")) if choices.one_in(60) else choices.pick(_METHODS)
    rules = list(_rules(files))
    if rules and not choices.one_in(3):
        rule, services = choices.pick(rules)
        captured: dict[str, str] = {}
        term = choices.pick(rule.principals.terms)
        if isinstance(term, ast.PrincipalPattern):
            principal = _principal_of(choices, term, captured)
        target = choices.pick(rule.targets)
        if isinstance(target, ast.Target):
            path = "/" + "/".join(_filled(choices, target.path.segments, captured))
            method = choices.pick(target.methods) if target.methods else method
        service = choices.pick(services)
    return Request(
        principal=principal,
        service=service,
        method=method,
        path=path,
        now=choices.pick(_INSTANTS),
        user=choices.pick(_USERS),
        context=_context(choices),
        supplied=frozenset(family for family in _FAMILIES if choices.one_in(2)),
    )


_ASKED: Final = (*_SERVICES * 8, "nowhere")


def _rules(files: Sequence[ast.File]) -> Iterator[tuple[ast.Rule, tuple[str, ...]]]:
    """Every rule, with services to ask about."""
    for file in files:
        for item in file.items:
            if isinstance(item, ast.ServiceBlock):
                yield from ((rule, (item.name.text,)) for rule in item.items if isinstance(rule, ast.Rule))
            if isinstance(item, ast.Rule) and isinstance(item.services, tuple):
                yield item, tuple(name.text for name in item.services)
            if isinstance(item, ast.Rule) and isinstance(item.services, ast.AnyService):
                yield item, _ASKED


def _principal_of(choices: _Choices, term: ast.PrincipalPattern, captured: dict[str, str]) -> Principal:
    """Some principal that the pattern matches."""
    domains = {**_DOMAINS, "*": choices.pick(tuple(_DOMAINS.values()))}
    domain = domains.get(term.trust_domain, term.trust_domain)
    segments = [segment or "a" for segment in _filled(choices, term.segments, captured)]  # an ID has a path
    return spiffe_principal(f"spiffe://{domain}/{'/'.join(segments)}")


def _filled(choices: _Choices, pattern: Iterable[ast.Segment], captured: dict[str, str]) -> list[str]:
    """Some segments that the pattern matches, equal where `captured` has the name already."""
    found: list[str] = []
    for part in pattern:
        match part:
            case ast.LiteralSegment(text=text):
                found.append(text)
            case ast.Capture(name=name):
                found.append(captured.setdefault(name, choices.pick(_LETTERS)))
            case ast.PrefixSegment(text=text):
                found.append(text + choices.pick(("", "b")))
            case ast.SuffixSegment(text=text):
                found.append(choices.pick(("", "a")) + text)
            case ast.AnySegment():
                found.append(choices.pick(_LETTERS))
            case ast.RestSegments():
                found += _some(choices, 2, lambda: choices.pick(_LETTERS), least=0)
    return found or [""]


def _principals() -> tuple[Principal, ...]:
    paths = ("a", "a/b", "b/a", "b/b", "a/b/a", "ns/a/sa/b", "ns/b/sa/b")
    spiffe = [spiffe_principal(f"spiffe://{domain}/{path}") for domain in _DOMAINS.values() for path in paths]
    more = [
        spiffe_principal("spiffe://else.test/a/b"),
        *map(dns_principal, (*_DNS_NAMES, "test", "b.b.test")),
    ]
    return (*spiffe, *more, ANONYMOUS, ANONYMOUS)


_PRINCIPALS: Final = _principals()
_USERS: Final = (
    None,
    None,
    None,
    User(issuer=_ISSUERS["corp"], subject="alice", groups=("admins",)),
    User(issuer=_ISSUERS["corp"], subject="bob", groups=("admins", "devs")),
    User(issuer=_ISSUERS["other"], subject="alice", groups=("devs",)),
    User(issuer=_ISSUERS["other"], subject="bob"),
    User(issuer="https://unknown.test", subject="a"),
)


def _request_path(choices: _Choices) -> str:
    segments = [
        choices.pick((*_PATH_WORDS, "a", "b", "abb")) for _ in range(choices.pick((1, 2, 2, 3, 1, 4, 0)))
    ]
    if not segments or choices.one_in(6):
        segments.append("")
    return "/" + "/".join(segments)


_INSTANTS: Final = (
    NOW,
    NOW,
    *(date + step for date in _DATES for step in (0, -1)),
    *(NOW + hours * _HOUR // 4 for hours in range(-8, 80)),  # through Berlin's night
    *(NOW + 7 * _DAY + hours * _HOUR // 4 for hours in range(20)),  # through Lord Howe's
)


def _context(choices: _Choices) -> Mapping[str, AttributeValue | None]:
    """Each attribute missing, null or present; now and then one that overrides the method or the user."""
    context: dict[str, AttributeValue | None] = {}
    for name, values in _CONTEXT.items():
        if not choices.one_in(2):
            context[name] = choices.pick(values)
    if choices.one_in(30):
        name = choices.pick(
            ("header.x-http-method-override", "header.x-method-override", "header.x-http-method")
        )
        context[name] = choices.pick((("GET",), ("POST",), None, ("GET", "POST"), ()))
    return context


_STRINGS: Final = (("a",), ("b",), ("a", "b"), ("x",), None, (), ("a", "a"), ("other",))
_CONTEXT: Final[Mapping[str, tuple[AttributeValue | None, ...]]] = {
    "header.x-a": (*_STRINGS, ("a,x",), ("x, a", "other"), ("other ,b",), (" a",), ("b,b",)),
    "source.ip": (*_ADDRESSES, None),
    "user.scope": _STRINGS,
    "user.level": (1, 2, 3, 4, -1, None),
    "user.sub": (*_SUBJECTS, None),
    "user.groups": (("admins",), ("devs", "admins"), (), None),
    "mesh.zone": (*_VALUES, "other", None),
}
