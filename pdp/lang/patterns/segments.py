"""Segments of paths and of principals: captures, wildcards and literal pieces.

Which literal pieces there may be, and where wildcards may stand, is left to whoever asks.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from pdp.lang import ast
from pdp.lang.patterns.problem import PatternError, fail

__all__ = ["Literal", "segments_of"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_ANY: Final = ast.AnySegment()
_REST: Final = ast.RestSegments()
#: Checks and returns the text of a literal piece of a segment.
Literal: TypeAlias = Callable[[str], str]


def segments_of(text: str, offset: int, literal: Literal) -> tuple[ast.Segment, ...]:
    """Take `a/{b}/*` apart; `literal` checks and returns the text of a literal piece."""
    found: list[ast.Segment] = []
    open_ended = False
    for part in text.split("/"):
        try:
            segment = _segment(part, literal)
            if segment is _REST:
                if open_ended:
                    help_ = "write two rules, or `*` for one segment"
                    fail("PDP304", "a pattern holds `**` only once", (0, 2), help_)
                open_ended = True
        except PatternError as error:
            error.start += offset
            error.end += offset
            raise
        found.append(segment)
        offset += len(part) + 1
    return tuple(found)


@lru_cache(maxsize=1 << 12)  # most segments of a set are the same few words: read once, and shared
def _segment(part: str, literal: Literal) -> ast.Segment:
    if part == "*":
        return _ANY
    if part == "**":
        return _REST
    whole = (0, len(part))
    if part.startswith("{"):
        name = part[1:-1]
        if not part.endswith("}") or not _NAME.fullmatch(name):
            help_ = "a capture is a whole segment in lower case, such as `{team}`"
            fail("PDP305", f"`{part}` is not a capture", whole, help_)
        return ast.Capture(name=name)
    if "{" in part or "}" in part:
        help_ = "a capture stands for a whole segment: `/{id}/`"
        fail("PDP305", f"`{part}` mixes a capture with text", whole, help_)
    if "*" not in part:
        return ast.LiteralSegment(text=literal(part))
    if part.count("*") == 1 and part.endswith("*"):
        return ast.PrefixSegment(text=literal(part[:-1]))
    if part.count("*") == 1 and part.startswith("*"):
        return ast.SuffixSegment(text=literal(part[1:]))
    help_ = "within a segment `*` stands first or last: `v*` or `*.png`"
    raise PatternError("PDP306", f"`{part}` has a `*` inside", at=whole, help_=help_)
