"""Path patterns as bytes: a tenth of what they take as objects, where rows are kept by the million.

Images hold the same bytes (`pdp.image.patterns`).
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from pdp.lang import ast

__all__ = ["pack_pattern", "unpack_pattern"]

#: What stands for the kinds of segments; those of `_BARE` have no text.
_KINDS: Final[tuple[type[ast.Segment], ...]] = (
    ast.LiteralSegment,
    ast.PrefixSegment,
    ast.SuffixSegment,
    ast.Capture,
    ast.AnySegment,
    ast.RestSegments,
)
_NUMBERS: Final = {kind: number for number, kind in enumerate(_KINDS)}
_BARE: Final[Sequence[ast.Segment]] = (ast.AnySegment(), ast.RestSegments())
_FIRST_BARE: Final = len(_KINDS) - len(_BARE)
_decoder: Final = msgspec.msgpack.Decoder(tuple[int | str, ...])
_encode: Final = msgspec.msgpack.Encoder().encode


def pack_pattern(pattern: Sequence[ast.Segment]) -> bytes:
    """A pattern as bytes: the kind of each segment, and its text where it has one."""
    parts: list[int | str] = []
    for segment in pattern:
        parts.append(_NUMBERS[segment.__class__])
        match segment:
            case ast.LiteralSegment(text=text) | ast.PrefixSegment(text=text) | ast.SuffixSegment(text=text):
                parts.append(text)
            case ast.Capture(name=name):
                parts.append(name)
    return _encode(parts)


def unpack_pattern(content: bytes) -> tuple[ast.Segment, ...]:
    """The pattern that bytes hold.

    Raises:
        ValueError: They hold none.
    """
    found: list[ast.Segment] = []
    try:
        parts = iter(_decoder.decode(content))
        for number in parts:
            at = int(number)
            if at >= _FIRST_BARE:
                found.append(_BARE[at - _FIRST_BARE])
                continue
            kind, text = _KINDS[at], next(parts)
            if at < 0 or not isinstance(text, str):
                raise ValueError("a segment of a pattern has no text")
            found.append(ast.Capture(name=text) if kind is ast.Capture else kind(text=text))
    except (IndexError, StopIteration) as error:
        raise ValueError("a path pattern is not whole") from error
    return tuple(found)
