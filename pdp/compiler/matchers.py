"""Path patterns: where their captures stand, whether they match, whether two can meet.

A pattern holds `**` at most once, so every segment of it has a fixed place from the path's
start or from its end, and a match needs no search.
"""

from collections.abc import Sequence

from pdp.compiler.evaluation import Place
from pdp.lang import ast

__all__ = ["capture_places", "matches", "rest_index", "segment_matches", "segments_overlap"]


def rest_index(segments: Sequence[ast.Segment]) -> int | None:
    """Where `**` stands, if it does."""
    for index, segment in enumerate(segments):
        if isinstance(segment, ast.RestSegments):
            return index
    return None


def capture_places(segments: Sequence[ast.Segment], *, principal: bool) -> list[tuple[str, Place]]:
    """Each capture with its place; after `**` places count from the end."""
    if not any(isinstance(segment, ast.Capture) for segment in segments):
        return []
    rest = rest_index(segments)
    found = []
    for index, segment in enumerate(segments):
        if isinstance(segment, ast.Capture):
            at = index if rest is None or index < rest else index - len(segments)
            found.append((segment.name, Place(principal=principal, index=at)))
    return found


def segment_matches(pattern: ast.Segment, text: str) -> bool:
    """Whether one segment of a pattern matches one segment of a path."""
    match pattern:
        case ast.LiteralSegment(text=literal):
            return text == literal
        case ast.PrefixSegment(text=prefix):
            return text.startswith(prefix)
        case ast.SuffixSegment(text=suffix):
            return text.endswith(suffix)
        case _:
            return text != ""


def matches(pattern: Sequence[ast.Segment], path: Sequence[str]) -> bool:
    """Whether a pattern matches a whole path, captures being any segment."""
    rest = rest_index(pattern)
    if rest is None:
        return len(pattern) == len(path) and all(map(segment_matches, pattern, path))
    tail = len(pattern) - rest - 1
    if len(path) < rest + tail:
        return False
    head_fits = all(map(segment_matches, pattern[:rest], path[:rest]))
    return head_fits and (tail == 0 or all(map(segment_matches, pattern[rest + 1 :], path[-tail:])))


def segments_overlap(left: ast.Segment, right: ast.Segment) -> bool:
    """Whether some segment matches both."""
    match left, right:
        case (ast.LiteralSegment(text=text), other) | (other, ast.LiteralSegment(text=text)):
            return segment_matches(other, text)
        case (ast.PrefixSegment(text=one), ast.PrefixSegment(text=two)):
            return one.startswith(two) or two.startswith(one)
        case (ast.SuffixSegment(text=one), ast.SuffixSegment(text=two)):
            return one.endswith(two) or two.endswith(one)
        case _:
            return True
