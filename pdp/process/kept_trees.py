"""The syntax trees of what is served, kept on disk: a file that is unchanged need not be parsed again.

A tree is the answer to nothing but the very text that it was parsed from: it is named by the file's path and
the digest of its text, within a file that is named by the program.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final, final

import msgspec

from pdp.diagnostics import Source
from pdp.image.layout import ImageError
from pdp.lang.parsed import Parsed, text_digest
from pdp.lang.written import WrittenError, read_parsed, write_parsed
from pdp.process.kept_file import HEAD_BYTES, made_of, open_kept, whole

__all__ = ["FILE", "KeptTrees", "trees"]

FILE: Final = "trees.parsed"
_MAGIC: Final = b"pdptree1"
_OF: Final = "trees"


class _Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    path: str
    text: bytes  # the digest of the text
    start: int
    length: int
    digest: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(tuple[_Place, ...])


def trees(files: Iterable[Parsed]) -> bytes:
    """A file with the trees of these files."""
    places, parts, at = [], [], HEAD_BYTES
    for parsed in files:
        part = write_parsed(parsed)
        places.append(_Place(parsed.file.path, parsed.digest, at, len(part), sha256(part).digest()))
        parts.append(part)
        at += len(part)
    return whole(_MAGIC, made_of(_OF), parts, _encode(tuple(places)))


@final
class KeptTrees:
    """The trees that an earlier run has left."""

    def __init__(self, folder: Path) -> None:
        """Open them.

        Raises:
            FileNotFoundError: There are none.
            OSError: They cannot be read.
            FolderError: Somebody else could have written them.
            ImageError: They are damaged, or of another program.
        """
        with open_kept(folder / FILE, _MAGIC, made_of(_OF)) as content:
            self._bytes = content.mapped
            try:
                places = _decoder.decode(content.manifest)
            except msgspec.MsgspecError as error:
                raise ImageError("it is damaged") from error
        self._places = {(place.path, place.text): place for place in places}

    def recall(self, source: Source) -> Parsed | None:
        """What a file with this text was parsed to, if that is kept.

        Raises:
            ImageError: It is damaged.
        """
        place = self._places.get((source.path, text_digest(source)))
        if place is None:
            return None
        part = self._bytes[place.start : place.start + place.length]
        if sha256(part).digest() != place.digest:
            raise ImageError("it is damaged")
        try:
            return read_parsed(part)
        except WrittenError as error:
            raise ImageError("it is damaged") from error
