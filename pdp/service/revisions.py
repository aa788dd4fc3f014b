"""Following what is published, from within an event loop.

Versions are published by another thread. It only rings; whoever follows then reads the one
reference that is served. Nothing is queued: who is slow misses versions between, never the newest.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Self, final

from pdp.limits import MAX_REVISION_WATCHERS, MAX_WATCHERS_PER_CALLER
from pdp.service.errors import CannotAnswerError
from pdp.store.versions import Published, Versions

__all__ = ["Following", "Revisions"]


@final
class Revisions:
    """Lets a bounded number of tasks follow what is served, and so many of each caller."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._lock = Lock()
        self._following: set[Following] = set()
        self._closed = False

    def ring(self) -> None:
        """Something may have been published. Safe from any thread."""
        with self._lock:
            following = tuple(self._following)
        for each in following:
            each.ring()

    def recheck(self) -> None:
        """Tell all who follow something, so that their rights are looked at. Safe from any thread."""
        with self._lock:
            following = tuple(self._following)
        for each in following:
            each.recheck()

    def follow(self, caller: str) -> "Following":
        """Begin to follow, within a running event loop and a `with` statement.

        Args:
            caller: The id of who follows.

        Raises:
            CannotAnswerError: There are too many already, or too many of this caller, or the service ends.
        """
        following = Following(self, self._versions, caller)
        with self._lock:
            if self._closed:
                raise CannotAnswerError("ending", "the decision point ends")
            if len(self._following) >= MAX_REVISION_WATCHERS:
                raise CannotAnswerError(
                    "too_many_watchers", f"at most {MAX_REVISION_WATCHERS} watch revisions at a time"
                )
            if sum(each.caller == caller for each in self._following) >= MAX_WATCHERS_PER_CALLER:
                raise CannotAnswerError(
                    "too_many_watchers",
                    f"at most {MAX_WATCHERS_PER_CALLER} of one caller watch revisions at a time",
                )
            self._following.add(following)
        return following

    def leave(self, following: "Following") -> None:
        """Make room for another one."""
        with self._lock:
            self._following.discard(following)

    def close(self) -> None:
        """Let all who follow come to their end; nobody can begin any more."""
        with self._lock:
            self._closed = True
            following = tuple(self._following)
        for each in following:
            each.close()


@final
class Following:
    """One who follows. Used by one task of the event loop it was made in.

    Attributes:
        caller: The id of who it is.
    """

    def __init__(self, revisions: Revisions, versions: Versions, caller: str) -> None:
        self.caller = caller
        self._revisions = revisions
        self._versions = versions
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()
        self._closed = False
        self._rechecked = False
        self._told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._revisions.leave(self)

    @property
    def closed(self) -> bool:
        """Whether nothing more will be told."""
        return self._closed

    async def newest(self, seconds: float) -> Published | None:
        """The newest version, once it is one that was not told yet.

        Returns:
            The version; or None if there was none within these seconds, it is closed, or the rights
            of who follows are to be looked at.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._closed:
                    # INVARIANT: cleared before the look, so that a ring during it is not lost.
                    self._rung.clear()
                    current = self._versions.current
                    if current.number > self._told:
                        self._told = current.number
                        return current
                    if self._rechecked:
                        self._rechecked = False
                        return None
                    await self._rung.wait()
        except TimeoutError:
            pass
        return None

    def ring(self) -> None:
        """Look again. Safe from any thread."""
        self._wake(self._rung.set)

    def recheck(self) -> None:
        """Tell something, if only that nothing is new. Safe from any thread."""
        self._wake(self._recheck)

    def close(self) -> None:
        """Come to the end. Safe from any thread."""
        self._wake(self._end)

    def _recheck(self) -> None:
        self._rechecked = True
        self._rung.set()

    def _end(self) -> None:
        self._closed = True
        self._rung.set()

    def _wake(self, what: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits in it any more
            self._loop.call_soon_threadsafe(what)
