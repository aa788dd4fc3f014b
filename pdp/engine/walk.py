"""One walk: from a path to the rows that its cell holds, and the cell as a region's steps.

The steps are a by-product: a segment that took a literal or part of it is pinned; any other is
whatever the state does not tell apart; and where the walk ended before the path did, the rest
is free.
"""

from typing import Final, TypeAlias

from pdp.compiler.matchers import segment_matches
from pdp.index.cells import PACK_ROW, LeafOrRow, Lone, Pinned, State, Tail
from pdp.lang import ast
from pdp.vocabulary import Excluding, PathStep

__all__ = ["Cell", "walk"]


#: Where a walk ended: what the cell holds (single rows, and leaves of several), the region's path
#: steps, and whether any further segments may follow. A plain tuple: one is made for every decision.
Cell: TypeAlias = tuple[tuple[LeafOrRow, ...], list[PathStep], bool]


#: So many steps that admit any segment.
_FREE: Final = tuple((None,) * count for count in range(256))


def walk(state: State, segments: list[str]) -> Cell:
    """Walk the path with these segments from a service's root state."""
    steps: list[PathStep] | None = None
    at = 0
    for segment in segments:
        following = state.literals.get(segment)
        if following is None:
            if steps is None:
                steps = [*segments[:at]]
            if state.sink:
                return state.rests, steps, True
            if segment and state.wild is None:  # nothing is named here: as for most identifiers
                following = state.other
                steps.append(None)
            else:
                following, step = _unnamed(state, segment)
                steps.append(step)
            if following is None:
                return _dead(state, segments, steps)
        elif steps is not None:
            steps.append(segment)
        at += 1  # noqa: SIM113 - `enumerate` would make a tuple for every segment
        if following.__class__ is int:
            return _lone(state, segments, at, steps, following)
        state = following  # type: ignore[assignment]
    if steps is None:
        steps = list(segments)
    leaves = state.rests if state.leaf is None else (state.leaf, *state.rests)
    if state.tails:
        return _with_tails(state.tails, segments, leaves, steps)
    return leaves, steps, state.sink


def _unnamed(state: State, segment: str) -> tuple[State | Lone | None, PathStep]:
    """Where a segment leads that no literal names, and the region's step for it."""
    if not segment:
        return None, segment
    if state.affixes is not None and (following := state.affixes.match(segment)) is not None:
        return following, segment
    return state.other, segment if isinstance(state.wild, Pinned) else state.wild


def _lone(state: State, segments: list[str], at: int, steps: list[PathStep] | None, lone: int) -> Cell:
    """The rest of a walk where one row is left: its pattern goes on with segments of any kind."""
    count, is_open = lone >> 1 & 0xFF, lone & 1
    given = len(segments) - at
    if steps is None:
        steps = [*segments[:at]]
    if given == count and not is_open and segments[-1]:  # as nearly always
        steps += _FREE[count]
        return (lone >> PACK_ROW, *state.rests), steps, False
    if given < count:
        steps.extend(segment and None for segment in segments[at:])
        return state.rests, steps, False
    reached = at + count
    if "" in segments[at:reached]:
        # Only the last segment can be empty, and no pattern takes it for a segment.
        steps.extend([None] * (count - 1))
        steps.append("")
        return state.rests, steps, False
    steps.extend([None] * count)
    if is_open:
        return (lone >> PACK_ROW, *state.rests), steps, True
    if given == count:  # an empty segment at the end was the pattern's own literal
        return (lone >> PACK_ROW, *state.rests), steps, False
    if not segments[reached]:
        steps.append("")
        return state.rests, steps, False
    steps.append(None)
    return state.rests, steps, True


def _dead(state: State, segments: list[str], steps: list[PathStep]) -> Cell:
    """The walk found no way on: what `**` covers is all there is."""
    if state.tails:
        steps.extend(segment and None for segment in segments[len(steps) :])
        return _with_tails(state.tails, segments, state.rests, steps)
    return state.rests, steps, segments[len(steps) - 1] != ""


def _with_tails(
    tails: tuple[Tail, ...], segments: list[str], leaves: tuple[LeafOrRow, ...], steps: list[PathStep]
) -> Cell:
    """Add the patterns that go on after `**`; they pin the path's length, and split its last segments."""
    found = list(leaves)
    for tail in tails:
        count = len(tail.segments)
        if len(segments) - tail.depth < count:
            continue
        fits = True
        for pattern, index in zip(tail.segments, range(len(segments) - count, len(segments)), strict=True):
            segment = segments[index]
            if not segment_matches(pattern, segment):
                fits = False
            steps[index] = _split(steps[index], pattern, segment)
        if fits and tail.leaf is not None:
            found.append(tail.leaf)
    return tuple(found), steps, False


def _split(step: PathStep, pattern: ast.Segment, segment: str) -> PathStep:
    """Narrow a step to the segments that the pattern treats like this one."""
    if step.__class__ is str or isinstance(pattern, ast.AnySegment | ast.Capture):
        return step
    if segment_matches(pattern, segment):
        return segment
    excluding = step if isinstance(step, Excluding) else Excluding()
    match pattern:
        case ast.LiteralSegment(text=text) if text:
            return Excluding((*excluding.segments, text), excluding.prefixes, excluding.suffixes)
        case ast.PrefixSegment(text=text):
            return Excluding(excluding.segments, (*excluding.prefixes, text), excluding.suffixes)
        case ast.SuffixSegment(text=text):
            return Excluding(excluding.segments, excluding.prefixes, (*excluding.suffixes, text))
        case _:
            return step
