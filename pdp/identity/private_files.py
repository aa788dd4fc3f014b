"""Files that hold keys: written whole or not at all, for their owner alone.

This module holds the folder, its lock, and writing by rename. What is in the files is
the business of `pdp.identity.authority`. Modes are set explicitly and do not depend on
the umask. POSIX only: it rests on `rename`, `link`, `flock` and owners.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from pdp.diagnostics import escape

__all__ = [
    "PUBLIC",
    "SECRET",
    "FileConflictError",
    "FolderError",
    "Output",
    "UnsyncedError",
    "create_files",
    "locked_folder",
    "make_private_folder",
    "read_secret",
    "replace_files",
]

SECRET: Final = 0o600
PUBLIC: Final = 0o644


class FolderError(Exception):
    """A folder or file that is not fit to hold keys; the message says what to do."""


class FileConflictError(FolderError):
    """A file is there already; nothing was written."""


class UnsyncedError(OSError):
    """Files were replaced, and a power cut may bring back those before."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One file to write: where, what, with which mode, and whose it is to be if not ours: user and group."""

    path: Path
    data: bytes
    mode: int
    owner: tuple[int, int] | None = None


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter; one that is there must be so already.

    Raises:
        FolderError: It is there, and others may enter it or own it.
        OSError: It cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise FolderError(f"{escape(str(folder.parent))} is not a folder") from error
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        _check_folder(folder)
    else:
        folder.chmod(0o700)  # a umask can only take rights away, even the owner's


def _check_folder(folder: Path) -> None:
    status, name = folder.stat(), escape(str(folder))
    if not folder.is_dir():
        raise FolderError(f"{name} is not a folder")
    if status.st_uid != os.geteuid():
        raise FolderError(f"{name} belongs to another user, who could replace the keys in it")
    if status.st_mode & 0o077:
        raise FolderError(f"{name} can be entered by others: run `chmod 700` on it first")


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the folder against every other process that writes in it through this module.

    Raises:
        FolderError: It is not there, or is not for its owner alone.
        OSError: It cannot be opened.
    """
    if not folder.exists():
        raise FolderError(
            f"{escape(str(folder))} does not exist: make an authority there with `pdp pki init`"
        )
    _check_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_secret(path: Path) -> bytes:
    """The contents of a key file.

    Raises:
        FolderError: Others may read it.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise FolderError(
                f"{escape(str(path))} can be read by others: run `chmod 600` on it, or replace it"
            )
        return file.read()


def create_files(outputs: Sequence[Output]) -> None:
    """Write new files, all or none; none appears before it is whole.

    Raises:
        FileConflictError: One is there already. Nothing was written.
        OSError: One cannot be written. Nothing was left behind.
    """
    with _staged(outputs) as staged, ExitStack() as undo:
        for source, output in zip(staged, outputs, strict=True):
            try:
                os.link(source, output.path)  # unlike a rename, never replaces anything
            except FileExistsError as error:
                raise FileConflictError(f"{escape(str(output.path))} is there already") from error
            undo.callback(output.path.unlink, missing_ok=True)
        _sync_folders(outputs)
        undo.pop_all()


def replace_files(outputs: Sequence[Output]) -> None:
    """Write files over those that are there, each by one rename, back to back.

    A reader of one file sees the old or the new one, whole. A reader of several can
    still catch them between two renames, as can a crash: what belongs together has to
    be recognisable as such by its reader, who then reads again.

    Raises:
        UnsyncedError: All are replaced, and their folder cannot be written to disk.
        OSError: One cannot be written.
    """
    with _staged(outputs) as staged:
        for source, output in zip(staged, outputs, strict=True):
            source.rename(output.path)
        try:
            _sync_folders(outputs)
        except OSError as error:
            raise UnsyncedError(error.errno, error.strerror) from error


@contextmanager
def _staged(outputs: Sequence[Output]) -> Iterator[list[Path]]:
    """The contents on disk under temporary names beside their targets; gone afterwards."""
    with ExitStack() as stack:
        staged = []
        for output in outputs:
            descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=output.path.parent)
            stack.callback(Path(name).unlink, missing_ok=True)
            with os.fdopen(descriptor, "wb") as file:
                if output.owner is not None:
                    os.fchown(descriptor, *output.owner)  # first: it may take bits of the mode away
                os.fchmod(descriptor, output.mode)
                file.write(output.data)
                file.flush()
                os.fsync(descriptor)
            staged.append(Path(name))
        yield staged


def _sync_folders(outputs: Sequence[Output]) -> None:
    """A rename is kept through a power cut only once its folder is on disk."""
    for folder in {output.path.parent for output in outputs}:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
