"""Putting new text in the place of a file's old text, whole or not at all.

Commands that rewrite what people keep (`pdp fmt`) use this. Whoever reads the file sees
the old text or the new one, never a part; a crash leaves the old one.
"""

import contextlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import final

from pdp.limits import MAX_FILE_BYTES

__all__ = ["ChangedMeanwhileError", "Read", "read", "rewrite"]

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class ChangedMeanwhileError(OSError):
    """Somebody else wrote the file between our reading it and our writing it."""

    def __init__(self) -> None:
        super().__init__("somebody else changed the file meanwhile")
        self.strerror = str(self)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A file's bytes, and what the file was when they were read."""

    content: bytes
    status: os.stat_result


def read(path: Path) -> Read:
    """Read a regular file without following a link in its place.

    Raises:
        OSError: It cannot be read, is no regular file, or has more than `MAX_FILE_BYTES`.
    """
    with open(os.open(path, _OPEN), "rb") as file:  # noqa: PTH123 -- a descriptor, not a path
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _refused("this is no regular file")
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise _refused(f"this file has more than {MAX_FILE_BYTES} bytes")
    return Read(content=content, status=status)


def rewrite(path: Path, before: Read, content: bytes) -> None:
    """Replace the file that was read, keeping its permissions and, where we may, its owner.

    Raises:
        ChangedMeanwhileError: It is not any more what was read.
        OSError: It cannot be written; the old text is untouched.
    """
    # Hidden, and without the ending of a policy file: whoever watches the directory ignores it.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 -- a descriptor, not a path
            file.write(content)
            file.flush()
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, before.status.st_uid, before.status.st_gid)
            # After the owner: changing that takes the set-id bits away.
            os.fchmod(descriptor, stat.S_IMODE(before.status.st_mode))
            os.fsync(descriptor)
        _require_unchanged(path, before)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _require_unchanged(path: Path, before: Read) -> None:
    if _signature(path.lstat()) != _signature(before.status):
        raise ChangedMeanwhileError


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _refused(message: str) -> OSError:
    error = OSError(message)
    error.strerror = message
    return error
