"""A Unix socket that is ours alone: bound by us, in a directory of ours, removed at the end.

Whoever reaches the socket is asked about by the kernel, in `pdp.adapters.local`; here it is seen to that
nobody else can put a socket of theirs in its place. uvicorn would make one that everybody may use.
"""

import errno
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, final

__all__ = ["SocketTakenError", "UnsafeSocketError", "bound", "peer_uid"]

_DIRECTORY: Final = 0o700
_SOCKET: Final = 0o600
_UCRED: Final = struct.Struct("iII")  # unix(7): pid, uid, gid


class UnsafeSocketError(Exception):
    """A socket cannot be made there, or would not be ours alone; the message says why."""


@final
class SocketTakenError(UnsafeSocketError):
    """Somebody answers there already."""


@contextmanager
def bound(path: Path) -> Iterator[socket.socket]:
    """A socket at this path, not yet listening; at the end it is closed, and its file removed.

    The directory stays locked all the while: of two services that start at once one is refused, and none
    takes the other's socket for a stale one.

    Raises:
        SocketTakenError: Somebody answers there already.
        UnsafeSocketError: The directory, or what stands in it, is not as it has to be.
    """
    owner = os.getpid()
    with _directory(path.parent) as folder:
        _lock(folder, path)
        _clear(folder, path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made = _bind(listener, folder, path)
            try:
                yield listener
            finally:
                if os.getpid() == owner:  # not by a process that was forked while we listened
                    _remove(folder, path.name, made)
        finally:
            listener.close()


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    """The directory, held open; made if it is not there."""
    try:
        with suppress(FileExistsError):
            path.mkdir(_DIRECTORY)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        why = "is a symbolic link" if path.is_symlink() else f"cannot be used: {error.strerror}"
        raise UnsafeSocketError(f"{path} {why}") from error
    try:
        found = os.fstat(folder)
        mode = stat.S_IMODE(found.st_mode)
        if found.st_uid != os.geteuid():
            msg = f"{path} belongs to user {found.st_uid}, and not to us, user {os.geteuid()}"
            raise UnsafeSocketError(msg)
        if mode & 0o777 != _DIRECTORY:
            msg = f"{path} has mode {mode:04o}; a socket needs a directory of its own, with mode 0700"
            raise UnsafeSocketError(msg)
        yield folder
    finally:
        os.close(folder)


def _lock(folder: int, path: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        msg = f"{path.parent} is in use by another service: one directory for each"
        raise SocketTakenError(msg) from error


def _clear(folder: int, path: Path) -> None:
    """Remove what a service that ended badly has left; nothing else."""
    try:
        found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        msg = f"{path} is there, and is not a socket of ours"
        raise UnsafeSocketError(msg)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a listener that is too busy to accept is alive as well
        answer = probe.connect_ex(str(path))
    if answer != errno.ECONNREFUSED:
        msg = f"{path} is taken: somebody answers there"
        raise SocketTakenError(msg)
    os.unlink(path.name, dir_fd=folder)


def _bind(listener: socket.socket, folder: int, path: Path) -> os.stat_result:
    """Bind, and see that it is where and what it should be."""
    try:
        os.fchmod(
            listener.fileno(), _SOCKET
        )  # Linux: bind() takes over the mode, so that it never has another
        listener.bind(str(path))
        path.chmod(_SOCKET)  # whatever the umask has left of it
        made = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        msg = f"cannot listen on {path}: {error.strerror}"
        raise UnsafeSocketError(msg) from error
    if not stat.S_ISSOCK(made.st_mode) or stat.S_IMODE(made.st_mode) != _SOCKET:
        msg = f"cannot listen on {path}: what was made there is not a socket of ours alone"
        raise UnsafeSocketError(msg)
    return made


def _remove(folder: int, name: str, made: os.stat_result) -> None:
    """Remove the file, if it is still ours."""
    with suppress(OSError):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if (found.st_dev, found.st_ino) == (made.st_dev, made.st_ino):
            os.unlink(name, dir_fd=folder)


def peer_uid(connection: socket.socket) -> int | None:
    """The user that connected, as the kernel noted it then; None where there is no telling."""
    if connection.family != socket.AF_UNIX:
        return None
    try:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    except OSError:
        return None
    uid: int = _UCRED.unpack(credentials)[1]
    return uid
