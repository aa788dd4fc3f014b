"""Files with one JSON document a line: each answered by a line, in the same order.

A file is read as it is answered, so its length is not bounded; that of a line is. What a line means, and
what answers one that cannot be read, is the business of whoever answers.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from pdp.cli.output import CannotError
from pdp.limits import MAX_BODY_BYTES
from pdp.store.problems import reason

__all__ = ["answer_each"]

_STANDARD_INPUT: Final = Path("-")


def answer_each(path: Path, answer: Callable[[bytes], object]) -> None:
    """Answer the lines of a file on standard output.

    Args:
        path: The file; `-` is standard input.
        answer: Gets a line without its end, and of one that is longer than `MAX_BODY_BYTES` as much as
            shows that; what it returns is written as JSON.

    Raises:
        CannotError: The file cannot be read to its end.
    """
    encode = msgspec.json.Encoder().encode
    write = sys.stdout.buffer.write
    try:
        with _opened(path) as file:
            for line in _lines(file):
                write(_printable(encode(answer(line))) + b"\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout.buffer.flush()
        raise CannotError("not_read", f"`{path}` cannot be read: {reason(error)}") from error


def _printable(line: bytes) -> bytes:
    """The same JSON in printable ASCII: what a line holds is not to act on the terminal that shows it."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return json.dumps(json.loads(line)).replace("\x7f", "\\u007f").encode("ascii")


def _opened(path: Path) -> BinaryIO:
    return sys.stdin.buffer if path == _STANDARD_INPUT else path.open("rb")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines without their ends; of one that is too long, as much as shows that."""
    while line := file.readline(MAX_BODY_BYTES + 2):
        rest = line
        while len(rest) == MAX_BODY_BYTES + 2 and not rest.endswith(b"\n"):
            rest = file.readline(MAX_BODY_BYTES + 2)
        yield line.removesuffix(b"\n").removesuffix(b"\r")
