"""Rows whose path is one step away: one segment different, one too many or one too few.

The search is bounded, and what it finds first is what a person would look for first: paths that
differ late, then paths that differ early.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from pdp.index.cells import PACK_ROW, LeafOrRow, Lone, State

__all__ = ["neighbours"]

_STATES: Final = 2000  # states visited for one explanation
_SIBLINGS: Final = 200  # other segments tried in one place
_ROWS: Final = 500  # rows reported


def neighbours(root: State, segments: list[str]) -> Iterator[int]:
    """Rows one step away from a path; one may come more than once."""
    return islice(_search(root, segments), _ROWS)


def _search(root: State, segments: list[str]) -> Iterator[int]:
    trail = [root]
    state: State | Lone | None = root
    for depth, segment in enumerate(segments, 1):
        if not isinstance(state, State):
            break
        state = _step(state, segment)
        if isinstance(state, State):
            trail.append(state)
        elif state is not None:
            yield from _beside(state, segments[depth:])
    budget = _STATES
    for depth in range(len(trail) - 1, -1, -1):
        at = trail[depth]
        if depth < len(segments):
            yield from _ends(at)  # one segment too many
        ways = _ways(at, segments[depth] if depth < len(segments) else None)
        for following in islice(ways, _SIBLINGS):
            budget -= 1
            if budget < 0:
                return
            yield from _follow(following, segments[depth + 1 :], at.rests)


def _step(state: State, segment: str) -> State | Lone | None:
    following = state.literals.get(segment)
    if following is not None:
        return following
    if state.affixes is not None and segment and (affixed := state.affixes.match(segment)) is not None:
        return affixed
    return state.other if segment else None


def _ways(state: State, taken: str | None) -> Iterator[State | Lone]:
    for literal, following in state.literals.items():
        if literal != taken:
            yield following
    if state.other is not None and taken == "":
        yield state.other


def _follow(state: State | Lone, rest: list[str], known: Sequence[LeafOrRow]) -> Iterator[int]:
    """Go on along the request's own segments after one that differs.

    Args:
        state: What is behind that one.
        rest: The segments that follow.
        known: What `**` covers whichever segment stands there: the rows are on the path itself.
    """
    for position, segment in enumerate(rest):
        if not isinstance(state, State):
            yield from _lone(state, len(rest) - position)
            return
        following = _step(state, segment)
        if following is None:
            break
        state = following
    else:
        if not isinstance(state, State):
            yield from _lone(state, 0)
            return
        yield from _ends(state)
    for leaf in state.rests:
        if leaf not in known:
            yield from _leaf(leaf)


def _beside(lone: Lone, rest: list[str]) -> Iterator[int]:
    """A lone row on the way, where what is left of the path is too long for it, or one too short."""
    count, is_open = lone >> 1 & 0xFF, bool(lone & 1)
    excess = len(rest) - count
    if excess == -1 or (excess == 0 and rest[-1:] == [""]) or (excess > 0 and not is_open):
        yield lone >> PACK_ROW


def _lone(lone: Lone, given: int) -> Iterator[int]:
    """A lone row, if it takes so many segments more."""
    count, is_open = lone >> 1 & 0xFF, bool(lone & 1)
    if given >= count if is_open else given == count:
        yield lone >> PACK_ROW


def _ends(state: State) -> Iterator[int]:
    if state.leaf is not None:
        yield from _leaf(state.leaf)


def _leaf(leaf: LeafOrRow) -> Iterator[int]:
    if isinstance(leaf, int):
        yield leaf
        return
    for rows in islice(leaf.rows.values(), _ROWS):
        yield from (rows,) if isinstance(rows, int) else rows
