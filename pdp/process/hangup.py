"""SIGHUP: the settings are read again, and what can hold without a restart holds from then on.

They are read by a thread of its own: no question waits for a file. Who has them hold, and where, is the
business of whoever serves.
"""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Final, Self, TypeAlias, final

from pdp.config.model import Settings
from pdp.config.reread import Reread, reread
from pdp.diagnostics import escape
from pdp.process.parts import Say

__all__ = ["Hangups", "Read"]

#: Reads the settings again; None where something is wrong with them, which has been told then.
Read: TypeAlias = Callable[[], Settings | None]
_END: Final = False
_END_SECONDS: Final = 1.0


@final
class Hangups:
    """Hears SIGHUP within a `with` statement, in the main thread, and acts upon it once it is started.

    INVARIANT: the handler does nothing but `SimpleQueue.put`, which may be interrupted by itself.
    """

    def __init__(self, settings: Settings, read: Read | None, say: Say) -> None:
        """Hear nothing yet.

        Args:
            settings: What holds.
            read: Reads them again; None where there is nothing to read, and SIGHUP means what it always does.
            say: Told what was applied and what was not.
        """
        self._settings, self._read, self._say = settings, read, say
        self._heard: SimpleQueue[bool] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._hears = read is not None and threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        if self._hears:
            self._before = signal.signal(signal.SIGHUP, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heard.put(_END)
        if self._thread is not None:
            self._thread.join(_END_SECONDS)
        if self._hears:
            signal.signal(signal.SIGHUP, self._before)

    def start(self, apply: Callable[[Settings], None]) -> None:
        """Act upon what was heard and will be; `apply` is called by another thread."""
        if self._read is not None:
            run = (self._read, apply)
            self._thread = threading.Thread(target=self._run, args=run, name="settings", daemon=True)
            self._thread.start()

    def _note(self, _: int, __: FrameType | None) -> None:
        self._heard.put(not _END)

    def _run(self, read: Read, apply: Callable[[Settings], None]) -> None:
        while self._heard.get() is not _END:
            if self._ends():
                return
            try:
                after = read()
                if after is None:
                    self._say("the settings are as before")
                    continue
                found = reread(self._settings, after)
                if found.applied:
                    apply(found.settings)
                self._settings = found.settings
                self._say(_told(found))
            except Exception as error:  # noqa: BLE001 - a defect of ours must not end what hears the next one
                trouble = escape(f"{type(error).__name__}: {error}")
                self._say(f"the settings were not read again, by a defect of pdp: {trouble}")

    def _ends(self) -> bool:
        """Take what was heard meanwhile: one look at the file does for all of it."""
        with suppress(Empty):
            while True:
                if self._heard.get_nowait() is _END:
                    return True
        return False


def _told(found: Reread) -> str:
    """What became of it, in one line."""
    parts = []
    if found.applied:
        parts.append(f"{escape(', '.join(found.applied))} changed")
    if found.kept:
        takes = "takes" if len(found.kept) == 1 else "take"
        parts.append(f"{escape(', '.join(found.kept))} {takes} a restart")
    return f"settings read again: {'; '.join(parts) or 'nothing changed'}"
