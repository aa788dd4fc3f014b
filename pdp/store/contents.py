"""The files of a policy set as they are kept: small.

The text of a file is read once, when it is compiled, and then only if there is something to show of it.
Until the file changes it is kept, so that no version ever fails for a file that is not what it was; policies
are words that repeat, and take a tenth of their size compressed.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final, final
from zlib import compress, decompress

__all__ = ["Content", "Files"]

_SMALL: Final = 2048  # bytes: below that there is little to win
_FAST: Final = 1  # a level of zlib: the others take three times as long for a tenth more


@final
class Content:
    """What one file holds. Two are equal if their bytes are.

    Attributes:
        digest: SHA-256 of the bytes.
        size: How many there are.
    """

    __slots__ = ("_bytes", "_compressed", "digest", "size")

    def __init__(self, content: bytes) -> None:
        """Keep these bytes."""
        self.digest: Final = sha256(content).digest()
        self.size: Final = len(content)
        packed = compress(content, _FAST) if len(content) > _SMALL else content
        self._compressed: Final = len(packed) < len(content)
        self._bytes: Final = packed if self._compressed else content

    def read(self) -> bytes:
        """The bytes."""
        return decompress(self._bytes) if self._compressed else self._bytes

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Content) and self.digest == other.digest)

    def __hash__(self) -> int:
        return hash(self.digest)


@final
class Files(Mapping[str, bytes]):
    """Contents by path; as a mapping, their bytes.

    Attributes:
        contents: The contents.
    """

    __slots__ = ("contents",)

    def __init__(self, contents: Mapping[str, Content]) -> None:
        """Hold these contents, in this order."""
        self.contents: Final = contents

    def __getitem__(self, path: str) -> bytes:
        return self.contents[path].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self.contents)

    def __len__(self) -> int:
        return len(self.contents)

    def __repr__(self) -> str:
        return f"Files({dict(self)!r})"
