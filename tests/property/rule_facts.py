"""What a rule reads of a request, from its syntax tree: for tests that say what a region may rest on.

A rule here has one principal term and one target, and no role or named condition.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain

from pdp.lang import ast
from pdp.vocabulary import Effect
from tests.reference import interpreter


def nodes(value: object) -> Iterator[object]:
    """Every node of a syntax tree."""
    if isinstance(value, tuple):
        yield from chain.from_iterable(map(nodes, value))
        return
    yield value
    names = getattr(value, "__struct_fields__", None) or getattr(value, "__dataclass_fields__", ())
    yield from chain.from_iterable(nodes(getattr(value, name)) for name in names)


def standing(pattern: Sequence[ast.Segment], segments: Sequence[str]) -> object:
    """What is left of a pattern after some segments.

    None for nothing, the number of segments while it goes on, `covered` behind a final `**`; behind
    an inner one the number of segments, and which of the pattern's last segments the last ones match.
    """
    rest = pattern.index(ast.RestSegments()) if ast.RestSegments() in pattern else None
    head = pattern[:rest]
    if not all(map(interpreter._match_segment, head, segments)):
        return None
    if rest is None or len(segments) < len(head):
        return len(segments) if len(segments) <= len(head) else None
    tail = pattern[rest + 1 :]
    if not tail:
        return "covered"
    last = segments[len(head) :][-len(tail) :]
    fits = map(interpreter._match_segment, tail, last) if len(last) == len(tail) else ()
    return ("tail", len(segments), *fits)


def matches_shape(pattern: Sequence[ast.Segment], segments: Sequence[str]) -> bool:
    """Whether a pattern matches when each of its captures is any segment."""
    loose = tuple(ast.AnySegment() if isinstance(each, ast.Capture) else each for each in pattern)
    return interpreter._match(loose, tuple(segments), {}) is not None


class RuleFacts:
    """One rule beside the path of one request.

    Attributes:
        rule: The rule.
        segments: The path's segments.
        supplied: The families of attributes that are supplied.
    """

    def __init__(self, rule: ast.Rule, segments: Sequence[str], supplied: frozenset[str]) -> None:
        self.rule = rule
        self.segments = segments
        self.supplied = supplied
        (self.term,), (self.target,) = rule.principals.terms, rule.targets

    @cached_property
    def stands_here(self) -> bool:
        return matches_shape(self.target.path.segments, self.segments)

    @property
    def allows(self) -> bool:
        return self.rule.effect is Effect.ALLOW

    @property
    def restricts(self) -> bool:
        """A deny, or an allow with obligations."""
        return not self.allows or bool(self.rule.clause.obligations)

    def admits(self, method: str) -> bool:
        return self.target.methods is None or method in self.target.methods

    # -- what it reads -----------------------------------------------------------------

    @cached_property
    def tests(self) -> list[object]:
        """Its tests and what they read: `has`, comparisons, users, windows, principals."""
        kinds = ast.Comparison | ast.In | ast.Contains | ast.Has | ast.During | ast.PrincipalIn
        clause = self.rule.clause
        return [
            *(node for node in nodes((clause.when, clause.unless)) if isinstance(node, kinds)),
            *self.rule.users,
        ]

    @property
    def dated(self) -> bool:
        clause = self.rule.clause
        windows = any(isinstance(test, ast.During) for test in self.tests)
        return windows or clause.valid_from is not None or clause.until is not None

    @cached_property
    def attributes(self) -> set[str]:
        found = {node.name for node in nodes(tuple(self.tests)) if isinstance(node, ast.AttributeOperand)}
        for user in self.rule.users:
            found |= {"user.iss", *(["user.sub"] if user.kind is ast.UserKind.SUBJECT else [])}
        return found

    @property
    def reads_principal(self) -> bool:
        return (
            not isinstance(self.term, ast.Anyone)
            or bool(self.rule.principals.excluded)
            or any(isinstance(test, ast.PrincipalIn) for test in self.tests)
        )

    @cached_property
    def equalities(self) -> list[tuple[int, int | None]]:
        """Places of the path that must be equal to another, or (None) to a segment of the principal."""
        bound = self._bound()
        found = self._bind(bound, self.target.path.segments)
        for excluded in self.target.excluded:
            if matches_shape(excluded.segments, self.segments):
                found += self._bind(dict(bound), excluded.segments)
        return found

    @property
    def _own_equalities(self) -> list[tuple[int, int | None]]:
        return self._bind(self._bound(), self.target.path.segments)

    def _bound(self) -> dict[str, int | None]:
        """The captures of the principal term: None is not a place of the path."""
        segments = getattr(self.term, "segments", ())
        return {each.name: None for each in segments if isinstance(each, ast.Capture)}

    def _bind(
        self, bound: dict[str, int | None], pattern: Sequence[ast.Segment]
    ) -> list[tuple[int, int | None]]:
        found = []
        for name, at in self._captures(pattern):
            other = bound.setdefault(name, at)
            if other != at:
                found.append((at, other))
        return found

    def _captures(self, pattern: Sequence[ast.Segment]) -> list[tuple[str, int]]:
        rest = pattern.index(ast.RestSegments()) if ast.RestSegments() in pattern else len(pattern)
        shift = len(self.segments) - len(pattern)
        return [
            (each.name, at if at < rest else at + shift)
            for at, each in enumerate(pattern)
            if isinstance(each, ast.Capture)
        ]

    @cached_property
    def places(self) -> set[int]:
        """Segments of the path that equalities or conditions read."""
        return self._named_places | {at for pair in self.equalities for at in pair if at is not None}

    @cached_property
    def _named_places(self) -> set[int]:
        """Segments that a condition reads by a capture that the path binds: by its first place."""
        named = {node.name for node in nodes(tuple(self.tests)) if isinstance(node, ast.CaptureOperand)}
        bound = self._bound()
        self._bind(bound, self.target.path.segments)
        return {at for name, at in bound.items() if name in named and at is not None}

    @cached_property
    def facts(self) -> int:
        """How many things it reads; where there are several, one may settle it whatever the others are."""
        operands = ast.AttributeOperand | ast.CaptureOperand | ast.PrincipalIn | ast.During
        read = sum(isinstance(node, operands) for node in nodes(tuple(self.tests)))
        users = sum(1 + (user.kind is ast.UserKind.SUBJECT) for user in self.rule.users)
        excepted = sum(matches_shape(excluded.segments, self.segments) for excluded in self.target.excluded)
        return read + users + self._never_known + len(self.equalities) + excepted + self.dated

    @property
    def _never_known(self) -> int:
        """Tests whether there is a value of which that it is missing is never known."""
        has = (test.attribute.name for test in self.tests if isinstance(test, ast.Has))
        return sum(name.partition(".")[0] not in self.supplied for name in has)

    @property
    def cost(self) -> tuple[int, int]:
        """What a region that rests on it loses: what it compares, then the principal and the method."""
        compared = len(self._own_equalities) + len(self.target.excluded) + len(self.attributes)
        compared += len(self._named_places)
        return compared, self.reads_principal + (self.target.methods is not None)
