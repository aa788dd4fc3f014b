"""A process that parses what its parent hands it, and ends with it: `pdp.store.parsing` is the other end.

It reads the texts of policy files from its standard input, a batch at a time, and writes their syntax trees
to its standard output. It opens nothing else, and knows nothing of the set that the files are of.
"""

import struct
import sys
from typing import IO, Final

import msgspec

from pdp.diagnostics import Source
from pdp.lang.parser import parse
from pdp.lang.written import write_parsed

__all__ = ["HEAD", "Text", "main", "read_batch"]

#: How long a batch is: before each, in either direction.
HEAD: Final = struct.Struct("=Q")
_MAX_BYTES: Final = 1 << 28  # more than the trees of the largest file there can be


class Text(msgspec.Struct, frozen=True, array_like=True):
    """A file of which the text could be read."""

    path: str
    text: str


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Text]).decode


def read_batch(stream: IO[bytes]) -> bytes | None:
    """The next batch; None if there is no other, or it is not one."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    (length,) = HEAD.unpack(head)
    if length > _MAX_BYTES:
        return None
    batch = stream.read(length)
    return batch if len(batch) == length else None


def main() -> None:
    """Parse until there is nothing more to be read."""
    while (batch := read_batch(sys.stdin.buffer)) is not None:
        trees = [write_parsed(parse(Source(path=file.path, text=file.text))) for file in _decode(batch)]
        answer = _encode(trees)
        sys.stdout.buffer.write(HEAD.pack(len(answer)) + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
