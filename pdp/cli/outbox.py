"""Paragraphs on their way to whoever reads our output: queued, printed by a thread, never waited for.

Standard output may be a pipe whose reader is slow, stuck or gone. Of what it does not take only so much
is kept; the rest is counted, and told as a number once it reads again.
"""

import io
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import final

from pdp.limits import MAX_UNTOLD, UNTOLD_SECONDS

__all__ = ["Outbox"]


@final
class Outbox:
    """Prints paragraphs in the order in which they came, each whole, from whichever thread."""

    def __init__(self, *, err: bool, untold: Callable[[int], str]) -> None:
        """Print to standard output or standard error.

        Args:
            err: Whether to print to standard error.
            untold: Makes the paragraph that says how many there was no room for.
        """
        self._stream = sys.stderr if err else sys.stdout
        self._untold = untold
        self._news = threading.Condition()
        self._queue: deque[str] = deque()
        self._missed = 0
        self._closed = False
        self._printer = threading.Thread(target=self._print_all, name="outbox", daemon=True)
        self._printer.start()

    def put(self, text: str) -> None:
        """Have a paragraph printed, or counted if too many wait. Never waits and never raises."""
        with self._news:
            if len(self._queue) >= MAX_UNTOLD:
                self._missed += 1
            else:
                self._queue.append(text)
            self._news.notify()

    def close(self) -> None:
        """Print what is queued, as long as that may take, and end."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._printer.join(UNTOLD_SECONDS)

    # -- the thread ----------------------------------------------------------------------

    def _print_all(self) -> None:
        while (text := self._next()) is not None:
            with suppress(OSError, ValueError):  # nobody reads it any more, or it was closed
                self._print(text + "\n")

    def _next(self) -> str | None:
        with self._news:
            self._news.wait_for(lambda: self._queue or self._missed or self._closed)
            if self._queue:
                return self._queue.popleft()
            missed, self._missed = self._missed, 0
        return self._untold(missed) if missed else None

    def _print(self, text: str) -> None:
        try:
            descriptor = self._stream.fileno()
        except io.UnsupportedOperation:  # no file, but something of this process
            self._stream.write(text)
            self._stream.flush()
            return
        # Past the stream's buffer: were this thread stuck in it, the process could not end.
        data = memoryview(text.encode(self._stream.encoding or "utf-8", "backslashreplace"))
        while data:
            data = data[os.write(descriptor, data) :]
