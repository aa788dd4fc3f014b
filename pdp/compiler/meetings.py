"""Pairs of rows that may hold together, found without looking at every pair.

Rows lie in a tree by the segments of their paths, and at each place by their principal where that
is a single one. What a pair comes to is for `pdp.compiler.overlap` to say: here only such pairs
are left out as differ in a literal segment or in a single principal.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, final

from pdp.compiler.atoms import Atom, ExactAtom
from pdp.compiler.rows import Row, Unit
from pdp.lang import ast

__all__ = ["possible_pairs"]

_UnitRow: TypeAlias = tuple[Unit, Row]


@final
@dataclass(slots=True)
class _Place:
    """Rows by their principal, None for those that may hold more than one."""

    rows: dict[int | None, list[_UnitRow]] = field(default_factory=dict)

    def beside(self, principal: int | None) -> Iterator[_UnitRow]:
        """The rows that may hold for a principal that this one stands for."""
        if principal is None:
            for rows in self.rows.values():
                yield from rows
        else:
            yield from self.rows.get(principal, ())
            yield from self.rows.get(None, ())


@final
@dataclass(slots=True)
class _Node:
    literals: "dict[str, _Node]" = field(default_factory=dict)
    wild: "_Node | None" = None
    ends: _Place = field(default_factory=_Place)
    rests: _Place = field(default_factory=_Place)  # patterns with `**` here, whatever follows it

    def places(self, segments: Sequence[ast.Segment]) -> Iterator[_Place]:
        """Where patterns stand that may overlap one with these segments."""
        yield self.rests
        if not segments:
            yield self.ends
            return
        first, *others = segments
        if isinstance(first, ast.RestSegments):
            yield self.ends
            others = list(segments)
        children = list(self.literals.values())
        if isinstance(first, ast.LiteralSegment):
            children = [self.literals[first.text]] if first.text in self.literals else []
        for child in (*children, *([self.wild] if self.wild is not None else [])):
            yield from child.places(others)

    def place(self, segments: Iterable[ast.Segment]) -> _Place:
        """Where a pattern belongs."""
        node = self
        for segment in segments:
            if isinstance(segment, ast.RestSegments):
                return node.rests
            if isinstance(segment, ast.LiteralSegment):
                node = node.literals.setdefault(segment.text, _Node())
            else:
                node.wild = node.wild or _Node()
                node = node.wild
        return node.ends


def possible_pairs(
    rows: Iterable[_UnitRow], atoms: Mapping[int, Atom]
) -> Iterator[tuple[_UnitRow, _UnitRow]]:
    """Each row with each earlier one that it may meet."""
    root = _Node()
    for unit, row in rows:
        principal = row.atom if isinstance(atoms[row.atom], ExactAtom) else None
        for place in root.places(row.path):
            for other in place.beside(principal):
                yield (unit, row), other
        root.place(row.path).rows.setdefault(principal, []).append((unit, row))
