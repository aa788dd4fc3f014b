"""Where lines of the decision log go: standard output, or a file that is rotated.

Several processes may write to one file: each locks it, writes whole lines at its end, and notices when
another one has rotated it. A sink either takes all lines or raises `OSError`; a line that was cut off,
since a disk was full or a process was killed, is ended before the next one, so that it spoils no other.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, final

__all__ = ["FileSink", "Sink", "StreamSink"]

_MODE: Final = 0o640  # whoever ships the log reads it by its group
_OPEN: Final = os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Sink(Protocol):
    """Takes lines, from one thread."""

    def write(self, lines: bytes) -> None:
        """Write whole lines.

        Raises:
            OSError: Not all of them could be written; those that were are whole lines.
        """

    def close(self) -> None:
        """Nothing is written any more."""


@final
class StreamSink:
    """A descriptor that somebody else opened, such as standard output."""

    def __init__(self, descriptor: int, *, lock: int | None = None) -> None:
        """Write to a descriptor; where processes share it, one at a time, by locking this file."""
        self._descriptor = descriptor
        self._lock = lock
        self._cut_off = False

    def write(self, lines: bytes) -> None:
        """Write whole lines; waits where the reader of a pipe is slow.

        Raises:
            OSError: Not all could be written. Some may have been: nothing can be taken back here. The
                line that was cut off is ended before the next one.
        """
        with self._alone():
            view = memoryview(b"\n" + lines if self._cut_off else lines)
            while view:
                written = os.write(self._descriptor, view)
                self._cut_off = bytes(view[written - 1 : written]) != b"\n"
                view = view[written:]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process writes; a pipe would mix what is longer than a page."""
        if self._lock is None:
            yield
            return
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """The descriptor is not ours to close."""


@final
class FileSink:
    """A file, renamed to `NAME.1` (and that to `NAME.2`, ...) before it grows beyond a size."""

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        """Open the file.

        Args:
            path: The file; a symbolic link is refused.
            max_bytes: The size beyond which it does not grow.
            keep: How many older files are kept.

        Raises:
            OSError: It cannot be opened for writing.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._descriptor = _opened(path)

    def write(self, lines: bytes) -> None:
        """Append whole lines.

        Raises:
            OSError: Not all could be written: of these lines none counts as written.
        """
        self._follow()
        if os.fstat(self._descriptor).st_size + len(lines) > self._max_bytes:
            self._rotate(len(lines))
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            self._append(lines)
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _append(self, lines: bytes) -> None:
        """Write at the end, while nobody else does; of what does not fit nothing stays there."""
        size = os.fstat(self._descriptor).st_size
        if size and self._last(size) != b"\n":
            lines = b"\n" + lines  # a process was killed in the middle of a line
        written = os.write(self._descriptor, lines)
        if written != len(lines):
            with suppress(OSError):
                os.ftruncate(self._descriptor, size)
            raise OSError("the disk is full")

    def _last(self, size: int) -> bytes:
        try:
            return os.pread(self._descriptor, 1, size - 1)
        except OSError:
            return b"\n"  # not ours to read

    def _follow(self) -> None:
        """Open the file again if it has been renamed or removed."""
        with suppress(OSError):
            here, there = os.fstat(self._descriptor), self._path.lstat()
            if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                return
        self._reopen()

    def _reopen(self) -> None:
        opened = _opened(self._path)
        os.close(self._descriptor)
        self._descriptor = opened

    def _rotate(self, coming: int) -> None:
        """Rename the files, unless another process has just done so."""
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._follow()
            size = os.fstat(self._descriptor).st_size
            if size and size + coming > self._max_bytes:
                for number in range(self._keep, 1, -1):
                    with suppress(FileNotFoundError):
                        Path(f"{self._path}.{number - 1}").rename(f"{self._path}.{number}")
                if self._keep:
                    self._path.rename(f"{self._path}.1")
                else:
                    self._path.unlink()
                self._reopen()
        finally:
            os.close(lock)


def _opened(path: Path) -> int:
    """A file to append to, and to look at its end where it may be read; a pipe has a reader of its own."""
    readable = not path.exists() or (os.access(path, os.R_OK) and not path.is_fifo())
    return os.open(path, _OPEN | (os.O_RDWR if readable else os.O_WRONLY), _MODE)
