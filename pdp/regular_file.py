"""Reading a file that somebody else has put there: a regular one, up to a bound, and never waiting for it."""

import os
import stat

__all__ = ["read_regular"]


def read_regular(path: os.PathLike[str], most: int) -> bytes | str:
    """What a file holds, or in words why that cannot be told.

    Args:
        path: The file; it may be a link.
        most: How many bytes it may have.

    Raises:
        FileNotFoundError: It is not there.
    """
    try:
        # Nothing waits for the other end of a pipe that somebody has put there.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return "cannot be read: it is no regular file"
            data = file.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        return f"cannot be read: {error.strerror or 'input or output failed'}"
    return data if len(data) <= most else f"larger than {most} bytes, the limit for such a file"
