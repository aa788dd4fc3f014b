"""Policy sets over alphabets of a few words, with every request over the same alphabets.

Each alphabet holds values that no rule names, two of them where a segment is concerned: what an
answer says of one it must say of the other. A rule has one principal term, one target and no
role, so that it is one row; the language says that any other rule is as if written so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import NamedTuple, TypeAlias

import msgspec

from pdp.diagnostics import Source
from pdp.engine.decide import decide
from pdp.lang import ast
from pdp.lang.parser import parse
from pdp.principals import ANONYMOUS, Principal, spiffe_principal
from pdp.vocabulary import AttributeValue, Decision, Region, Request, User
from tests.property.compiled import compile_files, contains, full_context

NOW = 1_800_000_000_000  # 2027-01-15
EVERYTHING = Region("s", None, None, (), rest=True, context={})


class Kind(NamedTuple):
    """One kind of policy set: what its rules may say, and what is asked of it."""

    patterns: tuple[str, ...]
    words: tuple[str, ...]
    depth: int
    ends: tuple[str, ...] = ("",)
    people: tuple[str, ...] = ("prod/a", "prod/b", "prod/y", "prod/a/b", "prod/y/z", "dev/a", "-")
    conditions: bool = False
    least: int = 1
    most: int = 4

    @property
    def literals(self) -> list[str]:
        """What a rule may name of a segment."""
        return sorted({text for text in (*self.patterns, "a") if "*" not in text and "{" not in text})

    @property
    def prefixes(self) -> list[str]:
        return [text[:-1] for text in self.patterns if text[1:].endswith("*")]

    @property
    def suffixes(self) -> list[str]:
        return [text[1:] for text in self.patterns if text[:-1].startswith("*")]


_ENDS = ("", "", "", "/**", "/**", "/", "/**/a", "/**/*")

LITERALS = Kind(("a", "b", "a", "*", "{c}", "{d}"), ("a", "b", "y", "z"), 3, _ENDS)
AFFIXES = Kind(
    ("a", "ab", "*", "{c}", "a*", "*b"), ("a", "b", "ab", "ay", "az", "yb", "zb", "y", "z"), 2, _ENDS
)
CONDITIONS = Kind(
    ("a", "*", "{c}", "{d}"),
    ("a", "y", "z"),
    2,
    ("", "", "/**"),
    people=("prod/a", "prod/b", "prod/y", "prod/a/b", "-"),
    conditions=True,
    least=2,
    most=3,
)
MANY = Kind(
    (*(f"n{n}" for n in range(10)), "*", "{c}"), (*(f"n{n}" for n in range(10)), "a", "y", "z"), 1, most=14
)
KINDS = (LITERALS, LITERALS, AFFIXES, CONDITIONS, CONDITIONS, MANY)

_HEAD = """\
language 1
trust domain prod = "prod.test"
trust domain dev = "dev.test"
issuer corp = "https://corp.test"
attribute mesh.zone is string
attribute mesh.tier is string
group team = { prod/a, prod/a/b }
group crew = { team, any principal of dev except prod/a }
"""
_TERMS = (
    "anyone",
    "anyone",
    "prod/a",
    "prod/b",
    "prod/*",
    "prod/{c}",
    "prod/{c}/{d}",
    "prod/a/**",
    "*/a",
    "any principal of prod",
    "any authenticated",
    "team",
    "crew",
    "anyone except team",
    "prod/* except prod/b",
)
_VERBS = ("any", "any", "GET", "POST", "GET, POST")
METHODS = ("GET", "POST", "PATCH")
_TESTS = (
    'mesh.zone == "a"',
    'mesh.zone == "b"',
    "has mesh.zone",
    'mesh.tier == "a"',
    "during fri 07:00-09:00 in UTC",
    "principal in prod/b",
    "principal in team",
)
_DUTIES = ("", "", "", 'set header x-one = "1"', "reuse at most 5s")
_DATES = (*[""] * 24, "until 2027-01-01", "until 2027-02-01", "from 2027-02-01")
_VALUES = (None, "a", "b", "y")
_USERS = (
    None,
    User(issuer="https://corp.test", subject="alice"),
    User(issuer="https://corp.test", subject="mallory"),
    User(issuer="https://other.test", subject="alice"),
    User(issuer="https://other.test", subject="mallory"),
)


def _expression(random: Random, tests: Sequence[str]) -> str:
    one, other = random.choice(tests), random.choice(tests)
    return random.choice((one, one, f"not {one}", f"{one} and {other}", f"{one} or not {other}"))


def _path(random: Random, kind: Kind) -> str:
    segments = [random.choice(kind.patterns) for _ in range(random.randint(1, kind.depth))]
    return "/" + "/".join(segments) + random.choice(kind.ends)


def _rule(random: Random, kind: Kind, services: str = "") -> str:
    effect, shadow = random.choice(("allow", "allow", "allow", "deny")), random.random() < 0.08
    who, path = random.choice(_TERMS), _path(random, kind)
    parts = ["shadow" if shadow else "", effect, who]
    if kind.conditions and random.random() < 0.15:
        parts.append(f"on behalf of {random.choice(('corp/alice', 'corp/*'))}")
    parts += ["to", random.choice(_VERBS), path]
    if random.random() < 0.25:
        parts.append(f"except {_path(random, kind)}")
    parts.append(services)
    if kind.conditions and random.random() < 0.75:
        tests = [*_TESTS, *(f"{{{name}}} == mesh.zone" for name in "cd" if f"{{{name}}}" in who + path)]
        parts.append(f"{random.choice(('when', 'unless'))} {_expression(random, tests)}")
    if effect == "allow" and not shadow:
        parts.append(random.choice(_DUTIES))
    return " ".join(part for part in (*parts, random.choice(_DATES)) if part)


def policy_text(rules: str, outside: str = "", *, observed: bool = False) -> str:
    """A policy set with these rules in the block of its service, and behind it."""
    block = f"service s{' observe until 2028-01-01' if observed else ''} {{\n{rules}\n}}\n"
    return f"{_HEAD}{block}{outside}\n"


def _text(random: Random, kind: Kind) -> str:
    rules = [_rule(random, kind) for _ in range(random.randint(kind.least, kind.most))]
    outside = _rule(random, kind, "on any service") if random.random() < 0.2 else ""
    return policy_text("\n".join(rules), outside, observed=random.random() < 0.05)


def _principal(text: str) -> Principal:
    if text == "-":
        return ANONYMOUS
    domain, _, path = text.partition("/")
    return spiffe_principal(f"spiffe://{domain}.test/{path}")


def _paths(kind: Kind) -> Iterator[str]:
    """Every path up to a length, and some that go on behind it."""
    yield "/"
    for length in range(1, kind.depth + 1):
        for segments in product(kind.words, repeat=length):
            path = "/" + "/".join(segments)
            yield path
            yield f"{path}/" if length < kind.depth else f"{path}/y"


class Situation(NamedTuple):
    """What a request says besides who does what where."""

    user: User | None
    context: dict[str, AttributeValue | None]


def _situations(kind: Kind) -> list[Situation]:
    if not kind.conditions:
        return [Situation(None, {})]
    contexts = [{"mesh.zone": zone, "mesh.tier": tier} for zone in _VALUES for tier in (None, "a", "y")]
    return [
        *(Situation(None, context) for context in contexts),
        *(Situation(user, contexts[5]) for user in _USERS[1:]),
    ]


#: One request, as indexes into the four alphabets of a world: principal, method, path, situation.
Place: TypeAlias = tuple[int, int, int, int]
Answer: TypeAlias = tuple[object, ...]


@dataclass
class World:
    """One policy set, and every request over its alphabets."""

    text: str
    kind: Kind
    supplied: frozenset[str]

    def __post_init__(self) -> None:
        parsed = parse(Source(path="s.policy", text=self.text))
        assert not parsed.diagnostics, parsed.diagnostics
        self.files = [parsed.file]
        self.index = compile_files(self.files)
        #: In the order of their numbers.
        self.rules = [
            rule
            for item in parsed.file.items
            for rule in (item.items if isinstance(item, ast.ServiceBlock) else (item,))
            if isinstance(rule, ast.Rule)
        ]
        self.observed = "observe until" in self.text
        self.principals = [_principal(text) for text in self.kind.people]
        self.paths = list(_paths(self.kind))
        self.situations = _situations(self.kind)
        self._decisions: dict[Place, Decision] = {}
        self._within: dict[object, list[int]] = {}

    def place(self, question: str) -> Place:
        """`prod/a GET /x` as indexes, in the first situation."""
        who, method, path = question.split()
        return self.kind.people.index(who), METHODS.index(method), self.paths.index(path), 0

    def request(self, place: Place) -> Request:
        who, method, path, situation = place
        return Request(
            principal=self.principals[who],
            service="s",
            method=METHODS[method],
            path=self.paths[path],
            now=NOW,
            user=self.situations[situation].user,
            context=self.situations[situation].context,
            supplied=self.supplied,
        )

    def decision(self, place: Place) -> Decision:
        if place not in self._decisions:
            self._decisions[place] = decide(self.index, self.request(place))
        return self._decisions[place]

    def answer(self, place: Place) -> Answer:
        """What a region holds for: the parts of a decision that soundness compares."""
        found = self.decision(place)
        return found.effect, found.enforced, found.obligations, found.valid_until

    def deciding(self, place: Place) -> list[ast.Rule]:
        return [self.rules[number & 0xFFFF_FFFF] for number in self.decision(place).rules]

    def everywhere(self) -> Iterator[Place]:
        return product(
            range(len(self.principals)),
            range(len(METHODS)),
            range(len(self.paths)),
            range(len(self.situations)),
        )

    def members(self, region: Region) -> Iterator[Place]:
        """The requests of a region, which is a product of its fields."""
        return product(
            self._alike(0, len(self.principals), region, ("principal",)),
            self._alike(1, len(METHODS), region, ("method",)),
            self._alike(2, len(self.paths), region, ("path", "rest")),
            self._alike(3, len(self.situations), region, ("context",)),
        )

    def _alike(self, axis: int, count: int, region: Region, fields: tuple[str, ...]) -> list[int]:
        """The values of one axis that some fields of a region admit."""
        kept = {name: getattr(region, name) for name in fields}
        key = (axis, *(tuple(value.items()) if name == "context" else value for name, value in kept.items()))
        if key not in self._within:
            only = msgspec.structs.replace(EVERYTHING, **kept)
            places = [tuple(at if axis == each else 0 for each in range(4)) for at in range(count)]
            requests = map(self.request, places)
            self._within[key] = [
                at for at, request in enumerate(requests) if contains(only, request, full_context(request))
            ]
        return self._within[key]


def worlds(random: Random, count: int) -> Iterator[World]:
    """So many policy sets, of every kind in turn."""
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        supplied = frozenset({"mesh", "user"}) if random.random() < 0.7 else frozenset()
        yield World(_text(random, kind), kind, supplied)
