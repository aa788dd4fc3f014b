"""Names, and the segments that patterns of principals, paths and services are made of."""

from typing import TypeAlias, final

import msgspec

from pdp.diagnostics import Span
from pdp.lang.ast.nodes import Node

__all__ = [
    "AnySegment",
    "Capture",
    "LiteralSegment",
    "Name",
    "PrefixSegment",
    "RestSegments",
    "Segment",
    "SuffixSegment",
]


@final
class Name(Node, frozen=True, kw_only=True):
    """A name as the author wrote it."""

    text: str
    span: Span


@final
class LiteralSegment(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="node", array_like=True
):
    """Exactly this segment."""

    text: str


@final
class Capture(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="node", array_like=True
):
    """`{name}`: any one non-empty segment; the same name twice means the same segment."""

    name: str


@final
class AnySegment(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="node", array_like=True
):
    """`*`: any one non-empty segment."""


@final
class PrefixSegment(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="node", array_like=True
):
    """`abc*`: one segment that begins with the text and is longer than it or equal to it."""

    text: str


@final
class SuffixSegment(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="node", array_like=True
):
    """`*abc`: one segment that ends with the text."""

    text: str


@final
class RestSegments(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="node", array_like=True
):
    """`**`: any number of segments, none included."""


Segment: TypeAlias = LiteralSegment | Capture | AnySegment | PrefixSegment | SuffixSegment | RestSegments
