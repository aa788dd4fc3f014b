"""How far a path is from a pattern: by the segments that would have to change."""

from collections.abc import Sequence
from itertools import pairwise

from pdp.compiler.matchers import rest_index, segment_matches
from pdp.lang import ast

__all__ = ["differs_before_the_end", "fewest_steps", "path_steps"]


def fewest_steps(pattern: Sequence[ast.Segment], segments: Sequence[str]) -> int:
    """No fewer segments than this have to change if it does not match: seen from the lengths alone."""
    if rest_index(pattern) is None:
        return max(1, abs(len(pattern) - len(segments)))
    return max(1, len(pattern) - 1 - len(segments))


def path_steps(pattern: Sequence[ast.Segment], segments: Sequence[str]) -> int:
    """How many segments of a path have to be replaced, added or dropped for a pattern to match it."""
    steps = list(range(len(segments) + 1))  # of the pattern's first segments, to each beginning of the path
    for wanted in pattern:
        is_rest = isinstance(wanted, ast.RestSegments)
        before, steps = steps, [steps[0] + (not is_rest)]
        for segment, (shorter, same) in zip(segments, pairwise(before), strict=True):
            if is_rest:
                steps.append(min(same, steps[-1]))
            else:
                differs = not segment_matches(wanted, segment)
                steps.append(min(shorter + differs, same + 1, steps[-1] + 1))
    return steps[-1]


def differs_before_the_end(pattern: Sequence[ast.Segment], segments: Sequence[str]) -> int:
    """How much of the path is left where the pattern first differs from it."""
    for at, segment in enumerate(segments):
        if at >= len(pattern) or isinstance(pattern[at], ast.RestSegments):
            return len(segments) - at
        if not segment_matches(pattern[at], segment):
            return len(segments) - at
    return 0
