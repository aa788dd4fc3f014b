"""Books: the rows of a service, kept so that those which can meet are found without trying all pairs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeAlias, TypeVar, final

from pdp.analysis.lines import Line, Scribe
from pdp.analysis.people import share
from pdp.compiler.atoms import EVERYONE, Atom
from pdp.compiler.overlap import paths_overlap
from pdp.compiler.rows import Row, RowKind, Unit
from pdp.lang import ast

__all__ = ["Book", "Overlaps", "Shelf", "covers", "meet"]

T = TypeVar("T")
Pattern: TypeAlias = Sequence[ast.Segment]


@final
@dataclass(slots=True)
class Overlaps:
    """Which atoms can share a member, found once for each pair."""

    _atoms: Mapping[int, Atom]
    _known: dict[Atom, dict[int, bool]] = field(default_factory=dict)

    def of(self, atom: Atom) -> "dict[int, bool]":
        """What is known so far about one atom, by the numbers of the others."""
        return self._known.setdefault(atom, {})

    def may_share(self, known: dict[int, bool], atom: Atom, number: int) -> bool:
        """Whether the atom can share a member with the numbered one."""
        answer = known.get(number)
        if answer is None:
            answer = known[number] = share(atom, self._atoms[number])
        return answer


@final
class Shelf(Generic[T]):
    """Things by the literal segments that their paths begin with."""

    def __init__(self) -> None:
        self._by_prefix: dict[tuple[str, ...], list[T]] = {}
        self._longer: dict[tuple[str, ...], list[tuple[str, ...]]] = {}

    def add(self, path: Pattern, thing: T) -> None:
        """Put a thing in its place."""
        prefix = _literals(path)
        if prefix not in self._by_prefix:
            self._by_prefix[prefix] = []
            for length in range(len(prefix)):
                self._longer.setdefault(prefix[:length], []).append(prefix)
        self._by_prefix[prefix].append(thing)

    def near(self, path: Pattern) -> Iterator[T]:
        """The things whose paths do not differ from this one in a literal that both begin with."""
        prefix = _literals(path)
        for length in range(len(prefix) + 1):
            yield from self._by_prefix.get(prefix[:length], ())
        for longer in self._longer.get(prefix, ()):
            yield from self._by_prefix[longer]


def _literals(path: Pattern) -> tuple[str, ...]:
    texts = []
    for segment in path[:_SORTED_BY]:
        if not isinstance(segment, ast.LiteralSegment):
            break
        texts.append(segment.text)
    return tuple(texts)


_SORTED_BY: Final = 3  # segments: names of services and versions come first, what tells paths apart after


def meet(one: Line, other: Line) -> bool:
    """Whether methods and paths let the two match one request."""
    if one.methods is not None and other.methods is not None and one.methods.isdisjoint(other.methods):
        return False
    return paths_overlap(one.row.path, other.row.path)


@final
class Book:
    """The enforced rows of one service, those on every service among them."""

    def __init__(self, service: str, units: Sequence[Unit]) -> None:
        self._shelf: Shelf[tuple[Unit, Row]] = Shelf()
        for unit in units:
            for row in (*unit.by_service.get(service, ()), *unit.on_any):
                if not row.kind & RowKind.SHADOW:
                    self._shelf.add(row.path, (unit, row))

    def meeting(self, line: Line, scribe: Scribe, overlaps: Overlaps) -> list[Line]:
        """Lines of the rows that can match a request which the given line matches."""
        known = overlaps.of(line.atom)
        found = []
        for unit, row in self._shelf.near(line.row.path):
            if not overlaps.may_share(known, line.atom, row.atom):
                continue
            methods = scribe.methods(row.mask)
            if methods is not None and line.methods is not None and methods.isdisjoint(line.methods):
                continue
            if paths_overlap(line.row.path, row.path):
                found.append(scribe.line(unit, row))
        return found


def covers(one: Line, other: Line) -> bool:
    """Whether one surely matches and holds wherever the other matches. False says nothing."""
    if not one.plain:
        return False
    if one.atom not in (EVERYONE, other.atom):
        return False
    if one.methods is not None and (other.methods is None or not one.methods >= other.methods):
        return False
    path = one.row.path
    if isinstance(path[-1], ast.RestSegments):
        return path[:-1] == other.row.path[: len(path) - 1]
    return path == other.row.path
