"""One stream of a live source, followed for as long as the service runs, whatever becomes of it.

A message that is refused changes nothing and ends nothing: the next one counts. A stream that ends is begun
again, after a pause that grows, and is never the same twice. What a message means is the business of
whoever takes it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from random import SystemRandom
from typing import Final, Generic, Protocol, TypeVar, final

from pdp.limits import FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS

__all__ = ["Stream", "Watch"]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

_END_SECONDS: Final = 5.0
_chance: Final = SystemRandom()


class Stream(Protocol[_T_co]):
    """Messages as they come, until it is closed from any thread. What it raises is why it ended."""

    def __iter__(self) -> Iterator[_T_co]:
        """Each message."""

    def close(self) -> None:
        """End it."""


@final
class Watch(Generic[_T]):
    """Follows a stream from a thread of its own.

    Attributes:
        tried: Set once it is known whether the first message came and was good.
        delivered: Set once a good message came.
    """

    def __init__(self, name: str, begin: Callable[[], Stream[_T]], take: Callable[[_T], str]) -> None:
        """Have `take` get each message; it says what is wrong with it, or nothing.

        What `take` raises is wrong as well, and the stream is begun again: then the message comes again.
        """
        self._begin, self._take = begin, take
        self.tried, self.delivered = threading.Event(), threading.Event()
        self._problem = "nothing was delivered yet"
        self._down_since: float | None = time.monotonic()
        self._good = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._stream: Stream[_T] | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def problem(self) -> str:
        """What is wrong with the last message, or why there is no stream; empty where nothing is."""
        return self._problem

    @property
    def down_seconds(self) -> float:
        """How long there has been no stream; nothing while there is one, though its messages be bad."""
        since = self._down_since
        return 0.0 if since is None else time.monotonic() - since

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End. Nothing is taken after this returns, unless it takes too long."""
        self._stop.set()
        with self._lock:
            stream = self._stream
        if stream is not None:
            stream.close()
        if self._thread.ident is not None:
            self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            good = self._good
            problem = self._follow()
            if self._down_since is None:
                self._down_since = time.monotonic()
            self._problem = problem
            self.tried.set()
            pause = FIRST_PAUSE_SECONDS if self._good > good else min(pause * 2, LAST_PAUSE_SECONDS)
            # Not all services of an agent that was restarted come back at the same moment.
            self._stop.wait(pause * _chance.uniform(0.5, 1.0))

    def _follow(self) -> str:
        """Take messages until the stream ends; why it did."""
        try:
            stream = self._begin()
            with self._lock:
                self._stream = stream
            try:
                if not self._stop.is_set():
                    self._take_all(stream)
            finally:
                stream.close()
        except Exception as error:  # noqa: BLE001 -- one that ends leaves removed roots in force for ever
            return str(error) or type(error).__name__
        return "the stream has ended"

    def _take_all(self, stream: Stream[_T]) -> None:
        for message in stream:
            if self._stop.is_set():
                return
            problem = self._take(message)
            self._problem, self._down_since = problem, None
            if not problem:
                self._good += 1
                self.delivered.set()
            self.tried.set()
