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
from pdp.config.reread import reread
from pdp.diagnostics import escape
from pdp.process.settings_read import Found, SettingsAccepted, SettingsEvent, SettingsRejected

__all__ = ["Hangups", "Read"]

#: Reads the settings again.
Read: TypeAlias = Callable[[], Found]
_END: Final = False
_END_SECONDS: Final = 1.0


@final
class Hangups:
    """Hears SIGHUP within a `with` statement, in the main thread, and acts upon it once it is started.

    INVARIANT: the handler does nothing but `SimpleQueue.put`, which may be interrupted by itself.
    """

    def __init__(self, settings: Settings, read: Read | None, tell: Callable[[SettingsEvent], None]) -> None:
        """Hear nothing yet.

        Args:
            settings: What holds.
            read: Reads them again; None where there is nothing to read, and SIGHUP means what it always does.
            tell: Told what became of them.
        """
        self._settings, self._read, self._tell = settings, read, tell
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

    def start(self, apply: Callable[[Settings], None], count: Callable[[str], None]) -> None:
        """Act upon what was heard and will be.

        Args:
            apply: Has settings hold; called by another thread.
            count: Gets `accepted` or `rejected`, each time; called by the same.
        """
        if self._read is not None:
            run = (self._read, apply, count)
            self._thread = threading.Thread(target=self._run, args=run, name="settings", daemon=True)
            self._thread.start()

    def _note(self, _: int, __: FrameType | None) -> None:
        self._heard.put(not _END)

    def _run(self, read: Read, apply: Callable[[Settings], None], count: Callable[[str], None]) -> None:
        while self._heard.get() is not _END:
            if self._ends():
                return
            found = Found(settings=None)
            try:
                found = read()
                event = self._take(found, apply)
            except Exception as error:  # noqa: BLE001 - a defect of ours must not end what hears the next one
                event = SettingsRejected(found=found, defect=escape(f"{type(error).__name__}: {error}"))
            count("accepted" if isinstance(event, SettingsAccepted) else "rejected")
            self._tell(event)

    def _take(self, found: Found, apply: Callable[[Settings], None]) -> SettingsEvent:
        if found.settings is None:
            return SettingsRejected(found=found)
        again = reread(self._settings, found.settings)
        if again.applied:
            apply(again.settings)
        self._settings = again.settings
        return SettingsAccepted(found=found, applied=again.applied, kept=again.kept)

    def _ends(self) -> bool:
        """Take what was heard meanwhile: one look at the file does for all of it."""
        with suppress(Empty):
            while True:
                if self._heard.get_nowait() is _END:
                    return True
        return False
