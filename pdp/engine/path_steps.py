"""How far a path is from a pattern: by the segments that would have to change."""

from collections.abc import Sequence

from pdp.compiler.matchers import rest_index, segment_matches
from pdp.lang import ast

__all__ = ["differs_before_the_end", "fewest_steps", "path_steps"]


def fewest_steps(pattern: Sequence[ast.Segment], segments: Sequence[str]) -> int:
    """No fewer segments than this have to change: seen from the lengths alone."""
    if rest_index(pattern) is None:
        return abs(len(pattern) - len(segments))
    return max(0, len(pattern) - 1 - len(segments))


def path_steps(pattern: Sequence[ast.Segment], segments: Sequence[str]) -> int:
    """How many segments of a path have to be replaced, added or dropped for a pattern to match it."""
    steps = list(range(len(segments) + 1))  # of the pattern's first segments, to each beginning of the path
    for wanted in pattern:
        before, steps = steps, [0] * len(steps)
        is_rest = isinstance(wanted, ast.RestSegments)
        steps[0] = before[0] + (not is_rest)
        for at, segment in enumerate(segments, 1):
            if is_rest:
                steps[at] = min(before[at], steps[at - 1])
            else:
                differs = not segment_matches(wanted, segment)
                steps[at] = min(before[at - 1] + differs, before[at] + 1, steps[at - 1] + 1)
    return steps[-1]


def differs_before_the_end(pattern: Sequence[ast.Segment], segments: Sequence[str]) -> int:
    """How much of the path is left where the pattern first differs from it."""
    for at, segment in enumerate(segments):
        if at >= len(pattern) or isinstance(pattern[at], ast.RestSegments):
            return len(segments) - at
        if not segment_matches(pattern[at], segment):
            return len(segments) - at
    return 0
