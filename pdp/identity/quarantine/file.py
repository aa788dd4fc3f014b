"""The file that holds a list: read, and changed by one writer at a time.

A change replaces the file whole, so that whoever follows it sees the old list or the new one. Writers on one
machine wait for each other. A file that a volume brings, read only, is changed where it comes from.
"""

import fcntl
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pdp.diagnostics import escape
from pdp.identity.private_files import Output, UnsyncedError, replace_files
from pdp.identity.quarantine.entries import Entry, entry_of, instant_text
from pdp.identity.quarantine.lists import Quarantine, QuarantineError, read_quarantine, write_quarantine
from pdp.limits import MAX_QUARANTINE_ENTRIES, MAX_TRUST_FILE_BYTES
from pdp.regular_file import read_regular
from pdp.vocabulary import Millis

__all__ = ["NoSuchEntryError", "NotConfirmedError", "add_entry", "lift_entry", "make_entry", "quarantine_in"]


_PATIENCE_SECONDS: Final = 3.0
_PAUSE_SECONDS: Final = 0.01
_BUSY: Final = "somebody else is changing the list, and does not come to an end"
_of_this_process: Final = threading.Lock()  # locks of POSIX are those of a process


class NoSuchEntryError(QuarantineError):
    """No entry has that name."""


class NotConfirmedError(Exception):
    """The list was changed, and that may not last, or not be in force everywhere; the message says why."""


def quarantine_in(path: Path) -> Quarantine:
    """The list in a file.

    Raises:
        QuarantineError: It cannot be read, or is none.
    """
    try:
        data = read_regular(path, MAX_TRUST_FILE_BYTES)
    except FileNotFoundError as error:
        begin = f'{error.strerror}; an empty list is `{{"entries": []}}`'
        raise QuarantineError(f"{escape(str(path))}: cannot be read: {begin}") from error
    if isinstance(data, str):
        raise QuarantineError(f"{escape(str(path))}: {data}")
    try:
        return read_quarantine(data)
    except QuarantineError as error:
        raise QuarantineError(f"{escape(str(path))}: {error}") from error


def make_entry(named: Mapping[str, str], *, who: str, why: str, since: Millis, until: Millis) -> Entry:
    """A new entry, with a name of its own.

    Args:
        named: What it is about, as `Entry` has it.
        who: By whose word.
        why: What happened.
        since: When that was said.
        until: When it ends.

    Raises:
        BadEntryError: It is none.
    """
    return entry_of(
        {
            "id": f"q-{secrets.token_hex(8)}",
            "who": who,
            "why": why,
            "since": instant_text(since),
            "until": instant_text(until),
            **named,
        }
    )


def add_entry(path: Path, entry: Entry, now: Millis) -> None:
    """Put an entry into the list; those that have ended leave it.

    Raises:
        NotConfirmedError: It was put there, and may not stay there.
        QuarantineError: The file cannot be read or written, or is full.
    """

    def added(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        if len(entries) >= MAX_QUARANTINE_ENTRIES:
            raise QuarantineError(f"the list has {MAX_QUARANTINE_ENTRIES} entries, and no room for more")
        return (*entries, entry)

    _change(path, added, now)


def lift_entry(path: Path, entry_id: str, now: Millis) -> Entry:
    """Take an entry out of the list; the entry.

    Raises:
        NoSuchEntryError: There is none of that name.
        NotConfirmedError: It was taken out, and may come back.
        QuarantineError: The file cannot be read or written.
    """
    lifted: list[Entry] = []

    def without(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        lifted.extend(entry for entry in entries if entry.id == entry_id)
        if not lifted:
            raise NoSuchEntryError(f"no entry is named `{escape(entry_id)[:80]}`")
        return tuple(entry for entry in entries if entry.id != entry_id)

    _change(path, without, now)
    return lifted[0]


def _change(path: Path, change: Callable[[tuple[Entry, ...]], tuple[Entry, ...]], now: Millis) -> None:
    real = path.resolve()  # a link stays a link
    try:
        found = real.stat()
        owner, mode = (found.st_uid, found.st_gid), stat.S_IMODE(found.st_mode)
        with _held(real.with_name(f".{real.name}.lock"), owner, mode):
            lasting = tuple(entry for entry in quarantine_in(real).entries if now < entry.ends)
            data = write_quarantine(change(lasting))
            read_quarantine(data)  # what cannot be read afterwards would quarantine nobody
            # Whoever follows it has to be able to read the new one: it belongs to whom the old one did.
            replace_files([Output(path=real, data=data, mode=mode, owner=owner)])
    except UnsyncedError as error:
        msg = f"{escape(str(path))}: the change may be lost in a power cut: {error.strerror}"
        raise NotConfirmedError(msg) from error
    except OSError as error:
        msg = f"{escape(str(path))}: cannot be written: {error.strerror}; change it where it comes from"
        raise QuarantineError(msg) from error


@contextmanager
def _held(lock: Path, owner: tuple[int, int], mode: int) -> Iterator[None]:
    """Keep other writers waiting: of this process, of this machine, and of others that share the volume.

    Raises:
        QuarantineError: Somebody else does not come to an end.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    if not _of_this_process.acquire(timeout=_PATIENCE_SECONDS):
        raise QuarantineError(_BUSY)
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            if os.fstat(descriptor).st_uid != owner[0] and os.geteuid() == 0:
                os.fchown(descriptor, *owner)
            while not _locked(descriptor):
                if time.monotonic() > until:
                    raise QuarantineError(_BUSY)
                time.sleep(_PAUSE_SECONDS)
            yield
        finally:
            os.close(descriptor)
    finally:
        _of_this_process.release()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of POSIX: network file systems have it too
    except (BlockingIOError, PermissionError):  # either, as systems have it
        return False
    return True
