"""Noticing that one of a few files holds something else: certificates, keys, roots.

This module decides *when* to look and hands over what it read; what becomes of that is the business
of whoever gets it. It is a poll of stat signatures, which see a file that is written, replaced or
reached by another link (a mounted Secret swaps `..data`), and a reading of the content from time to
time, whatever signatures say. A policy directory is watched by `pdp.store.watch`.

Files that belong together are seldom replaced in one step, so they are handed over only once they
hold still, and what is wrong with them is told only once it lasts.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias, final

from pdp.limits import MAX_TRUST_FILE_BYTES
from pdp.regular_file import read_regular

__all__ = ["Contents", "FileWatcher"]

#: What each file holds, or in words why that cannot be told.
Contents: TypeAlias = Mapping[Path, bytes | str]

_Signature: TypeAlias = tuple[int, ...]
_SETTLE_LOOKS: Final = 20
# A signature may stay the same where a file is written twice within one tick of the file system's
# clock. So for a while after each change it is not relied upon.
_DOUBT_SECONDS: Final = 2.0
_RESTLESS: Final = "the files do not hold still"


@final
class FileWatcher:
    """Looks at files from a thread of its own, until it is stopped, whatever happens.

    Args:
        name: Of the thread.
        paths: The files; each may be a link, and may be missing.
        consider: Gets their contents, at first and whenever they differ; says what is wrong with
            them, or None once they are in force. Called again from time to time while something is
            wrong. What it raises is wrong with them as well, and it is called again at the next look.
        tell: Gets what is wrong, once it has lasted; and None when nothing is any more.
        poll_seconds: How long a change may stay unnoticed.
        settle_seconds: How long the files must hold still.
        content_seconds: How often they are read whatever their signatures say.
        patience_seconds: How long something has to be wrong before that is told.
    """

    def __init__(  # noqa: PLR0913 -- all by keyword
        self,
        *,
        name: str,
        paths: Sequence[Path],
        consider: Callable[[Contents], str | None],
        tell: Callable[[str | None], None],
        poll_seconds: float = 0.2,
        settle_seconds: float = 0.05,
        content_seconds: float = 10.0,
        patience_seconds: float = 1.0,
    ) -> None:
        # Absolute: a relative path would follow the process wherever it goes.
        self._paths = {path: path.absolute() for path in paths}
        self._consider = consider
        self._tell = tell
        self._poll, self._settle = poll_seconds, settle_seconds
        self._content, self._patience = content_seconds, patience_seconds
        self._seen: tuple[_Signature, ...] | None = None
        self._considered: Contents | None = None
        self._forced = False
        self._found: str | None = None  # what was said of what was considered
        self._wrong: str | None = None
        self._told: str | None = None
        self._wrong_since = self._doubt_until = self._next_content = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, with a look at once."""
        self._thread.start()

    def again(self) -> None:
        """Have them considered at the next look, whether they differ or not: somebody else has used them."""
        self._forced = True

    def stop(self) -> None:
        """End. No call-back begins after this returns; from within one, it only asks for the end."""
        self._stop.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._look()
            except BaseException as error:  # noqa: BLE001 -- one that ends leaves removed roots in force for ever
                self._forced = True
                self._judge(_defect(error))
            if self._stop.wait(self._poll):
                return

    def _look(self) -> None:
        now = time.monotonic()
        seen = tuple(_signature(path) for path in self._paths.values())
        if seen != self._seen:
            self._seen, self._doubt_until = seen, now + _DOUBT_SECONDS
        due = now >= self._next_content
        forced, self._forced = (
            self._forced,
            False,
        )  # before they are read: what comes later is for the next look
        if not due and not forced and now >= self._doubt_until:
            return
        contents = self._settled()
        if self._stop.is_set():
            return
        if contents is None:
            self._judge(_RESTLESS)
        elif contents != self._considered or forced or (due and self._wrong is not None):
            self._considered, self._found = contents, self._verdict(contents)
            self._judge(self._found)
        else:
            self._judge(self._found)
        if due:
            self._next_content = now + self._content

    def _verdict(self, contents: Contents) -> str | None:
        try:
            return self._consider(contents)
        except Exception as error:  # noqa: BLE001 -- a defect of ours must not be taken for silence
            self._forced = True  # it may have done half of it
            return _defect(error)

    def _judge(self, wrong: str | None) -> None:
        """Note what is wrong, and tell it if it lasts."""
        now = time.monotonic()
        if wrong is None:
            if self._told is not None:
                self._told = None
                self._say(None)
        else:
            if self._wrong is None:
                self._wrong_since = now
                # Looked at again until it has lasted long enough to be told.
                self._doubt_until = max(self._doubt_until, now + self._patience + _DOUBT_SECONDS)
            if now - self._wrong_since >= self._patience and wrong != self._told:
                self._told = wrong
                self._say(wrong)
        self._wrong = wrong

    def _say(self, wrong: str | None) -> None:
        with suppress(BaseException):
            self._tell(wrong)

    def _settled(self) -> Contents | None:
        """What the files hold once that stays the same for a moment; None if it does not."""
        before = self._read()
        for _ in range(_SETTLE_LOOKS):
            if before == self._considered or self._stop.wait(self._settle):
                return before
            contents = self._read()
            if contents == before:
                return contents
            before = contents
        return None

    def _read(self) -> Contents:
        return MappingProxyType({path: _read(absolute) for path, absolute in self._paths.items()})


def _signature(path: Path) -> _Signature:
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or -1,)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _read(path: Path) -> bytes | str:
    try:
        return read_regular(path, MAX_TRUST_FILE_BYTES)
    except FileNotFoundError as error:
        return f"cannot be read: {error.strerror}"


def _defect(error: BaseException) -> str:
    return f"they could not be looked at, by a defect of pdp: {type(error).__name__}: {error}"
