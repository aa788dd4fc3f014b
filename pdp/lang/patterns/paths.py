"""Targets of rules: paths, gRPC methods as paths, and the methods that tables list.

How a request's path is read is the business of `pdp.paths`: a literal segment is one that
some request has.
"""

import re
from typing import Final
from urllib.parse import quote

from pdp.diagnostics import Span
from pdp.lang import ast
from pdp.lang.patterns.problem import fail
from pdp.lang.patterns.segments import segments_of
from pdp.limits import MAX_PATH_SEGMENTS, MAX_SEGMENTS_AFTER_REST
from pdp.paths import AmbiguousPathError, PathProblem, canonical, is_canonical_segment

__all__ = ["call_pattern", "methods", "path_pattern"]

_CALL: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*)/(\*|[A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_METHOD: Final = re.compile(r"[A-Z][A-Z0-9_-]*", re.ASCII)


def path_pattern(text: str, span: Span) -> ast.PathPattern:
    """A path pattern from its text, which begins with a slash."""
    if not text.startswith("/"):
        fail("PDP301", f"`{text}` is not a path", (0, len(text)), "a path begins with `/`")
    segments = segments_of(text[1:], 1, _path_literal)
    if len(segments) > MAX_PATH_SEGMENTS:
        help_ = "no request has more: end it earlier, with `/**`"
        fail("PDP910", f"a path has at most {MAX_PATH_SEGMENTS} segments", (0, len(text)), help_)
    _check_tail(segments, text)
    for index, segment in enumerate(segments[:-1]):
        if segment == ast.LiteralSegment(text=""):
            at = _segment_at(text, index)
            fail(
                "PDP302",
                "a path has no empty segment",
                at,
                "a request with `//` is refused, so this never matches",
            )
    return ast.PathPattern(segments=segments, span=span)


def _segment_at(text: str, index: int) -> tuple[int, int]:
    start = 1 + sum(len(part) + 1 for part in text[1:].split("/")[:index])
    return start, max(start + 1, start + len(text[1:].split("/")[index]))


def _check_tail(segments: tuple[ast.Segment, ...], text: str) -> None:
    """INVARIANT: at most `MAX_SEGMENTS_AFTER_REST` segments stand after `**`."""
    for index, segment in enumerate(segments):
        if isinstance(segment, ast.RestSegments) and len(segments) - index - 1 > MAX_SEGMENTS_AFTER_REST:
            fail(
                "PDP307",
                f"more than {MAX_SEGMENTS_AFTER_REST} segments follow `**`",
                (0, len(text)),
                "name the segments before `**` instead",
            )


def _path_literal(part: str) -> str:
    if part and not is_canonical_segment(part):
        message, help_ = _why_not_canonical(part)
        fail("PDP303", f"`{part}` is not a canonical path segment: {message}", (0, len(part)), help_)
    return part


def _why_not_canonical(part: str) -> tuple[str, str]:
    """What no request can have of a segment, and what to write instead."""
    if "?" in part:
        return "it has a `?`, and the query plays no part", "leave the query out"
    if "#" in part:
        return PathProblem.FRAGMENT.sentence, "leave the fragment out"
    written = _canonical_segment(part)
    if written is PathProblem.ENCODED_SLASH:
        return written.sentence, "write `*` for the segment: see docs/paths.md"
    if isinstance(written, str):
        return "a request that means it reads otherwise", f"write `{written}`"
    encoded = _canonical_segment(quote(part, safe="!$&'()*+,=:@~%"))
    if isinstance(encoded, str):
        return written.sentence, f"write `{encoded}`"
    return written.sentence, "a request with it is refused: see docs/paths.md"


def _canonical_segment(part: str) -> str | PathProblem:
    """How a request with this segment reads, or why it is refused."""
    try:
        return canonical(f"/-/{part}")[len("/-/") :]
    except AmbiguousPathError as error:
        return error.problem


def call_pattern(text: str, span: Span) -> ast.PathPattern:
    """`package.Service/Method` or `package.Service/*` as the path that gRPC gives it."""
    match = _CALL.fullmatch(text)
    if match is None:
        help_ = "write `call package.Service/Method`, or `package.Service/*`"
        fail("PDP308", f"`{text}` is not a gRPC method", (0, len(text)), help_)
    method: ast.Segment = ast.AnySegment() if match[2] == "*" else ast.LiteralSegment(text=match[2])
    return ast.PathPattern(segments=(ast.LiteralSegment(text=match[1]), method), span=span)


def methods(text: str) -> tuple[str, ...]:
    """Methods separated by spaces, as tables write them."""
    found = tuple(text.split())
    if not found or not all(_METHOD.fullmatch(word) for word in found):
        fail("PDP340", f"`{text}` is not a list of methods", (0, len(text)), "write `GET POST`, or `any`")
    return found
