"""The look-up structure of one service: cells of the path partition, and what they hold.

A path is walked segment by segment through `State`s. Every state is the meeting of all the
patterns that could still match, so the walk never branches and never backtracks; where it
ends is a *cell*: all paths that end there are told apart by no rule of the service.

`pdp.index.build` makes these; `pdp.engine` walks them.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias, final

from pdp.lang import ast
from pdp.limits import (
    MAX_CELLS_PER_PATTERN,
    MAX_CELLS_PER_SERVICE,
    MAX_CELLS_TO_SPARE,
    MAX_REGION_EXCLUSIONS,
)
from pdp.vocabulary import Excluding, PathStep

__all__ = [
    "PACK_ROW",
    "PINNED",
    "Affixes",
    "CrowdedCellError",
    "Leaf",
    "LeafOrRow",
    "Lone",
    "Pinned",
    "State",
    "Tail",
    "TooManyCellsError",
    "cells_bound",
    "pack",
    "unpack",
    "wild_step",
]


class TooManyCellsError(Exception):
    """Patterns combine in more ways than the bound admits; the message is the bound."""


class CrowdedCellError(Exception):
    """More conditional rows share a cell and an atom than the bound admits.

    Attributes:
        row: One of them.
    """

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


def cells_bound(patterns: int) -> int:
    """How many states so many patterns may come to."""
    return min(MAX_CELLS_PER_SERVICE, MAX_CELLS_TO_SPARE + MAX_CELLS_PER_PATTERN * patterns)


@final
class Pinned:
    """The step of a segment that is told apart from too many others to list: itself."""

    __slots__ = ()


PINNED: Final = Pinned()

#: A row that is alone behind a literal: `row << 9 | segments << 1 | open`. Its pattern goes on with
#: so many segments of any kind and, if open, with any number more.
Lone: TypeAlias = int
PACK_ROW: Final = 9


def pack(row: int, segments: int, *, is_open: bool) -> Lone:
    """Pack a lone row; `segments` is below 256."""
    return row << PACK_ROW | segments << 1 | is_open


def unpack(lone: Lone) -> tuple[int, int, bool]:
    """The row, how many segments of any kind follow, and whether any number more may."""
    return lone >> PACK_ROW, (lone >> 1) & 0xFF, bool(lone & 1)


@final
class Leaf:
    """Rows that share a pattern's end.

    Attributes:
        rows: By number of the principal atom: one row, or several.
        allow: Methods of the enforced allows.
        specific: Methods of the denies and of the allows with obligations that depend on the principal.
        timed: Methods of enforced rows whose truth depends on time.
    """

    __slots__ = ("allow", "rows", "specific", "timed")

    def __init__(self) -> None:
        self.rows: Mapping[int, int | tuple[int, ...]] = {}
        self.allow = 0
        self.specific = 0
        self.timed = 0


LeafOrRow: TypeAlias = Leaf | int


@final
class Tail:
    """What a pattern goes on with after `**`, tested from the path's end.

    Attributes:
        depth: How many segments stand before `**`.
        segments: The pattern's segments after it.
        leaf: The rows, or None where the pattern is only an exception of some row.
    """

    __slots__ = ("depth", "leaf", "segments")

    def __init__(self, depth: int, segments: tuple[ast.Segment, ...], leaf: LeafOrRow | None) -> None:
        self.depth = depth
        self.segments = segments
        self.leaf = leaf


@final
class Affixes:
    """Transitions on the beginning or the end of a segment.

    The longest matching prefix and the longest matching suffix decide: they imply the others.
    """

    __slots__ = ("prefixes", "states", "suffixes")

    def __init__(
        self,
        prefixes: tuple[str, ...],
        suffixes: tuple[str, ...],
        states: Mapping[tuple[str | None, str | None], "State"],
    ) -> None:
        """Prefixes and suffixes longest first."""
        self.prefixes = prefixes
        self.suffixes = suffixes
        self.states = states

    def match(self, segment: str) -> "State | None":
        """The state for a segment, or None if no prefix and no suffix matches."""
        prefix = next((text for text in self.prefixes if segment.startswith(text)), None)
        suffix = next((text for text in self.suffixes if segment.endswith(text)), None)
        return self.states.get((prefix, suffix)) if prefix or suffix else None


class State:
    """Where a walk stands. Its only subclass is a state that is not made yet (`pdp.image.cells`).

    Attributes:
        literals: Next state, or a lone row, by segment.
        affixes: Transitions on part of a segment.
        other: Next state for any other non-empty segment.
        leaf: Rows whose pattern ends here.
        rests: Leaves of the patterns whose final `**` began here or before.
        tails: Patterns whose inner `**` began here or before.
        wild: The region's step for a segment that took `other` or nothing.
        sink: Whether no longer path can be told from one that ends here.
        source: Where a state that is not made yet is found; not set in others.
    """

    __slots__ = ("affixes", "leaf", "literals", "other", "rests", "sink", "source", "tails", "wild")
    source: object

    def __init__(self) -> None:
        self.literals: Mapping[str, State | Lone] = {}
        self.affixes: Affixes | None = None
        self.other: State | Lone | None = None
        self.leaf: LeafOrRow | None = None
        self.rests: tuple[LeafOrRow, ...] = ()
        self.tails: tuple[Tail, ...] = ()
        self.wild: PathStep | Pinned = None
        self.sink = False


def wild_step(literals: Mapping[str, State | Lone], affixes: Affixes | None) -> PathStep | Pinned:
    """What a region says of a segment that took no named transition of a state."""
    prefixes = affixes.prefixes if affixes else ()
    suffixes = affixes.suffixes if affixes else ()
    named = len(literals) + len(prefixes) + len(suffixes)
    if named > MAX_REGION_EXCLUSIONS + 1:  # the empty segment is a literal that is no segment
        return PINNED
    segments = tuple(text for text in literals if text)
    if len(segments) + len(prefixes) + len(suffixes) > MAX_REGION_EXCLUSIONS:
        return PINNED
    return Excluding(segments, prefixes, suffixes) if segments or prefixes or suffixes else None
