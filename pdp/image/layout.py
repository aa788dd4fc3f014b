"""The layout of one part: a header, a table of sections, and the sections: numbers of one size, or bytes.

Numbers are in the byte order of the machine, which the header states. A part is recognised by its digest,
which stands in the manifest and is compared before anything else is read (`pdp.image.reader`): what is
checked here keeps a defect of ours from being taken for data.
"""

import struct
from array import array
from collections.abc import Iterable, Sequence
from mmap import mmap
from typing import Final, TypeAlias, TypeVar, final

__all__ = ["Buffer", "ImageError", "Part", "Section", "build_part", "column", "there"]

_T = TypeVar("_T")
#: What images are read from: slices of either are bytes.
Buffer: TypeAlias = bytes | mmap
Section: TypeAlias = bytes | bytearray | memoryview | array  # type: ignore[type-arg]

_MAGIC: Final = b"pdp\x00img1"
_HEADER: Final = struct.Struct("=8sIII4x")  # magic, byte order, kind, sections
_SECTION: Final = struct.Struct("=QQ")  # from where in the part, and how many bytes
_ORDER: Final = 0x01020304
_ALIGNMENT: Final = 8
_MAX_SECTIONS: Final = 64


class ImageError(Exception):
    """An image is damaged, or not one of ours; the message says what of it."""


def build_part(kind: int, sections: Sequence[Section]) -> bytes:
    """A part of these sections."""
    size = _HEADER.size + len(sections) * _SECTION.size
    table, body = [], []
    for section in sections:
        content = bytes(section)
        table.append(_SECTION.pack(size, len(content)))
        padding = -len(content) % _ALIGNMENT
        body += [content, bytes(padding)]
        size += len(content) + padding
    return b"".join((_HEADER.pack(_MAGIC, _ORDER, kind, len(sections)), *table, *body))


@final
class Part:
    """A part within a buffer.

    Attributes:
        buffer: The whole buffer.
    """

    def __init__(self, buffer: Buffer, start: int, length: int, kind: int, sections: int) -> None:
        """Read the table of sections.

        Raises:
            ImageError: It is no such part, or its sections do not lie within it.
        """
        self.buffer = buffer
        end = start + length
        head = _HEADER.size + sections * _SECTION.size
        if start < 0 or length < head or end > len(buffer) or sections > _MAX_SECTIONS:
            raise ImageError("a part does not lie within its file")
        found = _HEADER.unpack(buffer[start : start + _HEADER.size])
        if found != (_MAGIC, _ORDER, kind, sections):
            raise ImageError(f"there is no part of kind {kind} where one should be")
        self._spans: list[tuple[int, int]] = []
        table = buffer[start + _HEADER.size : start + head]
        for at, size in _SECTION.iter_unpack(table):
            if not head <= at <= at + size <= length:
                raise ImageError("a section does not lie within its part")
            self._spans.append((start + at, start + at + size))

    def span(self, section: int) -> tuple[int, int]:
        """Where in the buffer a section begins and ends."""
        return self._spans[section]

    def raw(self, section: int) -> bytes:
        """A section's bytes, copied."""
        start, end = self._spans[section]
        return self.buffer[start:end]

    def numbers(self, section: int, code: str) -> "memoryview[int]":
        """A section's numbers, in place.

        Args:
            section: Which.
            code: `B`, `I` or `Q`, as in `array`.

        Raises:
            ImageError: The section does not come to whole numbers.
        """
        start, end = self._spans[section]
        try:
            return memoryview(self.buffer)[start:end].cast(code)  # type: ignore[call-overload,no-any-return]
        except TypeError as error:
            raise ImageError("a section does not come to whole numbers") from error


def there(found: _T | None) -> _T:
    """What a weak reference leads to.

    Raises:
        ImageError: It is gone: somebody holds a state and not the index that it belongs to.
    """
    if found is None:
        raise ImageError("the image is used no more")
    return found


def column(code: str, values: Iterable[int] = ()) -> "array[int]":
    """Numbers to be written: `I` for those below 2**32, `Q` for those below 2**64.

    Raises:
        OverflowError: One is too large.
    """
    made = array(code, values)
    assert made.itemsize == {"B": 1, "I": 4, "Q": 8}[code]  # noqa: S101 - so on every platform that we run on
    return made
