"""Names, and the segments that patterns of principals, paths and services are made of."""

from dataclasses import dataclass, field
from typing import TypeAlias, final

from pdp.diagnostics import Span

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
@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name as the author wrote it."""

    text: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LiteralSegment:
    """Exactly this segment."""

    text: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """`{name}`: any one non-empty segment; the same name twice means the same segment."""

    name: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AnySegment:
    """`*`: any one non-empty segment."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixSegment:
    """`abc*`: one segment that begins with the text and is longer than it or equal to it."""

    text: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SuffixSegment:
    """`*abc`: one segment that ends with the text."""

    text: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RestSegments:
    """`**`: any number of segments, none included."""


Segment: TypeAlias = LiteralSegment | Capture | AnySegment | PrefixSegment | SuffixSegment | RestSegments
