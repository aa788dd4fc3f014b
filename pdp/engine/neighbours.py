"""Rows whose path is one step away: one segment different, one too many or one too few.

The search is bounded, and what it finds first is what a person would look for first: paths that
differ late, then paths that differ early.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, final

from pdp.index.cells import PACK_ROW, LeafOrRow, Lone, State

__all__ = ["Neighbour", "neighbours"]

_STATES: Final = 2000  # states visited for one explanation
_SIBLINGS: Final = 200  # other segments tried in one place
_ROWS: Final = 500  # rows reported


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A row at another path.

    Attributes:
        row: The row.
        pattern: Its path, `*` for what any segment matches.
        distance: How much of the request's path had to change, in segments from the end.
    """

    row: int
    pattern: str
    distance: int


def neighbours(root: State, segments: list[str]) -> Iterator[Neighbour]:
    """Rows one step away from a path."""
    return islice(_search(root, segments), _ROWS)


def _search(root: State, segments: list[str]) -> Iterator[Neighbour]:
    trail: list[tuple[State, list[str]]] = [(root, [])]
    state: State | Lone | None = root
    for depth, segment in enumerate(segments, 1):
        if not isinstance(state, State):
            break
        state, label = _step(state, segment)
        if isinstance(state, State):
            trail.append((state, [*trail[-1][1], label]))
        elif state is not None:
            yield from _beside(state, [*trail[-1][1], label], segments[depth:])
    budget = _STATES
    for depth in range(len(trail) - 1, -1, -1):
        at, labels = trail[depth]
        distance = len(segments) - depth
        if depth < len(segments):
            yield from _ends(at, labels, distance)  # one segment too many
        for label, following in islice(
            _ways(at, segments[depth] if depth < len(segments) else None), _SIBLINGS
        ):
            budget -= 1
            if budget < 0:
                return
            rest = segments[depth + 1 :]
            yield from _follow(following, [*labels, label], rest, distance)


def _step(state: State, segment: str) -> tuple[State | Lone | None, str]:
    following = state.literals.get(segment)
    if following is not None:
        return following, segment
    if state.affixes is not None and segment and (affixed := state.affixes.match(segment)) is not None:
        return affixed, segment
    return (state.other, "*") if segment else (None, "")


def _ways(state: State, taken: str | None) -> Iterator[tuple[str, State | Lone]]:
    for label, following in state.literals.items():
        if label != taken:
            yield label, following
    if state.other is not None and taken == "":
        yield "*", state.other


def _follow(state: State | Lone, labels: list[str], rest: list[str], distance: int) -> Iterator[Neighbour]:
    """Go on along the request's own segments after one that differs."""
    for position, segment in enumerate(rest):
        if not isinstance(state, State):
            yield from _lone(state, labels, rest[position:], distance)
            return
        following, label = _step(state, segment)
        if following is None:
            yield from _rests(state, [*labels, "**"], distance)
            return
        state, labels = following, [*labels, label]
    if isinstance(state, State):
        yield from _ends(state, labels, distance)
    else:
        yield from _lone(state, labels, [], distance)


def _beside(lone: Lone, labels: list[str], rest: list[str]) -> Iterator[Neighbour]:
    """A lone row on the way, where what is left of the path is too long for it, or one too short."""
    count, is_open = lone >> 1 & 0xFF, bool(lone & 1)
    excess = len(rest) - count
    if excess == -1 or (excess == 0 and rest[-1:] == [""]):
        yield from _lone(lone, labels, ["*"] * count, excess + 1)
    elif excess > 0 and not is_open:
        yield from _lone(lone, labels, ["*"] * count, excess)


def _lone(lone: Lone, labels: list[str], rest: list[str], distance: int) -> Iterator[Neighbour]:
    count, is_open = lone >> 1 & 0xFF, bool(lone & 1)
    if len(rest) == count or (is_open and len(rest) > count):
        pattern = "/".join([*labels, *["*"] * count, *(["**"] if is_open else [])])
        yield Neighbour(row=lone >> PACK_ROW, pattern=f"/{pattern}", distance=distance)


def _ends(state: State, labels: list[str], distance: int) -> Iterator[Neighbour]:
    if state.leaf is not None:
        yield from _leaf(state.leaf, labels, distance)


def _rests(state: State, labels: list[str], distance: int) -> Iterator[Neighbour]:
    for leaf in state.rests:
        yield from _leaf(leaf, labels, distance)


def _leaf(leaf: LeafOrRow, labels: list[str], distance: int) -> Iterator[Neighbour]:
    pattern = "/" + "/".join(labels)
    if isinstance(leaf, int):
        yield Neighbour(row=leaf, pattern=pattern, distance=distance)
        return
    for rows in islice(leaf.rows.values(), _ROWS):
        for row in (rows,) if isinstance(rows, int) else rows:
            yield Neighbour(row=row, pattern=pattern, distance=distance)
