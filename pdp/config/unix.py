"""The address of a Unix socket, as settings write it.

How the socket is made, and what its directory has to be like, is the business of
`pdp.adapters.unix_socket`.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["UnixAddress", "is_unix", "parse_unix"]

_PREFIX: Final = "unix:"
_MAX_BYTES: Final = 107  # unix(7): `sun_path` has 108, and the path ends with a NUL


class UnixAddress(NamedTuple):
    """Where to listen: the path of a socket, absolute."""

    path: Path

    def __str__(self) -> str:
        return f"{_PREFIX}{self.path}"


def is_unix(text: str) -> bool:
    """Whether a setting means a Unix socket, be it written well or not."""
    return text.startswith(_PREFIX)


def parse_unix(text: str) -> UnixAddress:
    """The path of `unix:/PATH`, which has one spelling.

    Raises:
        ValueError: It is something else, or longer than a socket's path can be.
    """
    path = text.removeprefix(_PREFIX)
    plain = path.isprintable() and path.startswith("/") and os.path.normpath(path) == path
    # A socket in `/` would have a directory that is everybody's: it needs one of its own.
    if not is_unix(text) or not plain or path.startswith("//") or path.count("/") < 2:
        raise ValueError("write unix:/PATH, such as unix:/run/pdp/pdp.sock")
    if len(os.fsencode(path)) > _MAX_BYTES:
        raise ValueError(f"the path of a socket has at most {_MAX_BYTES} bytes")
    return UnixAddress(Path(path))
