"""Sequences of different lengths in one section: byte strings and tuples of numbers, each kept once."""

from collections.abc import Sequence
from typing import Final, final

from pdp.image.layout import ImageError, Part, Section, column

__all__ = ["BLOBS", "TUPLES", "Blobs", "BlobsWriter", "Tuples", "TuplesWriter"]

#: How many sections each takes.
BLOBS: Final = 2
TUPLES: Final = 2


@final
class BlobsWriter:
    """Byte strings by number; equal ones have the same."""

    def __init__(self) -> None:
        self._ends = column("Q", (0,))
        self._blob = bytearray()
        self._known: dict[bytes, int] = {}

    def number(self, content: bytes) -> int:
        """The number of a byte string."""
        number = self._known.setdefault(content, len(self._known))
        if number == len(self._ends) - 1:
            self._blob += content
            self._ends.append(len(self._blob))
        return number

    def sections(self) -> tuple[Section, ...]:
        """What `Blobs` reads."""
        return self._ends, self._blob


@final
class Blobs:
    """Byte strings in a part."""

    def __init__(self, part: Part, first: int) -> None:
        """Read them from the section `first` on."""
        self._ends = part.numbers(first, "Q")
        self._start, self._end = part.span(first + 1)
        self._buffer = part.buffer
        if not self._ends:
            raise ImageError("there are no ends of byte strings")

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> bytes:
        try:
            at, end = self._start + self._ends[number], self._start + self._ends[number + 1]
        except IndexError as error:
            raise ImageError("there is no such byte string") from error
        if not self._start <= at <= end <= self._end:
            raise ImageError("a byte string does not lie within its section")
        return self._buffer[at:end]


@final
class TuplesWriter:
    """Tuples of numbers below 2**32 by number; equal ones have the same."""

    def __init__(self) -> None:
        self._ends = column("I", (0,))
        self._numbers = column("I")
        self._known: dict[tuple[int, ...], int] = {}

    def number(self, values: tuple[int, ...]) -> int:
        """The number of a tuple."""
        number = self._known.setdefault(values, len(self._known))
        if number == len(self._ends) - 1:
            self._numbers.extend(values)
            self._ends.append(len(self._numbers))
        return number

    def sections(self) -> tuple[Section, ...]:
        """What `Tuples` reads."""
        return self._ends, self._numbers


@final
class Tuples:
    """Tuples of numbers in a part."""

    def __init__(self, part: Part, first: int) -> None:
        """Read them from the section `first` on."""
        self._ends: Sequence[int] = part.numbers(first, "I")
        self._numbers = part.numbers(first + 1, "I")

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> tuple[int, ...]:
        try:
            return tuple(self._numbers[self._ends[number] : self._ends[number + 1]])
        except IndexError as error:
            raise ImageError("there is no such tuple of numbers") from error
