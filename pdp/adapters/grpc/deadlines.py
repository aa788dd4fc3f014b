"""How long calls wait for their clients, all of them for the same time.

So whoever began to wait first is due first, and one timer does for all: that of a call would cost more than
its answer's way through the rest of this package.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar, final

__all__ = ["Deadline"]

_T = TypeVar("_T")


@final
class Deadline:
    """Bounds waits as `asyncio.timeout` does. For one event loop."""

    def __init__(self, seconds: float) -> None:
        """Each wait may take so long."""
        self._seconds = seconds
        self._due: dict[asyncio.Task[Any], float] = {}  # by when it is due
        self._over: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def within(self, waited: Awaitable[_T]) -> _T:
        """Wait for something; of one task only one thing at a time.

        Raises:
            TimeoutError: It took too long.
        """
        task = asyncio.current_task()
        assert task is not None, "only tasks wait"  # noqa: S101 - coroutines run in tasks
        loop = asyncio.get_running_loop()
        cancelled = task.cancelling()
        self._due[task] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)
        try:
            return await waited
        except asyncio.CancelledError:
            if task in self._over and task.uncancel() <= cancelled:
                raise TimeoutError from None
            raise  # by somebody else, its client for instance
        finally:
            self._due.pop(task, None)
            self._over.discard(task)

    def _look(self) -> None:
        """End what is due, and look again when the next one is."""
        loop = asyncio.get_running_loop()
        self._timer = None
        for task, due in tuple(self._due.items()):
            if due > loop.time():
                self._timer = loop.call_at(due, self._look)
                return
            del self._due[task]
            self._over.add(task)
            task.cancel()
