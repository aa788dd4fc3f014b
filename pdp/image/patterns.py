"""Path patterns as bytes: for explanations, and for what follows an inner `**`."""

from collections.abc import Sequence
from typing import Final

import msgspec

from pdp.image.layout import ImageError
from pdp.lang import ast

__all__ = ["read_pattern", "write_pattern"]

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
_decoder: Final = msgspec.msgpack.Decoder(tuple[int | str, ...])
_encode: Final = msgspec.msgpack.Encoder().encode


def write_pattern(pattern: Sequence[ast.Segment]) -> bytes:
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


def read_pattern(content: bytes) -> tuple[ast.Segment, ...]:
    """The pattern that bytes hold.

    Raises:
        ImageError: They hold none.
    """
    found: list[ast.Segment] = []
    try:
        parts = iter(_decoder.decode(content))
        for number in parts:
            kind = _KINDS[int(number)]
            if kind is ast.AnySegment or kind is ast.RestSegments:
                found.append(kind())
                continue
            text = next(parts)
            if not isinstance(text, str):
                raise ImageError("a segment of a pattern has no text")
            found.append(ast.Capture(name=text) if kind is ast.Capture else kind(text=text))
    except (msgspec.MsgspecError, IndexError, ValueError, StopIteration) as error:
        raise ImageError("a path pattern cannot be read") from error
    return tuple(found)
