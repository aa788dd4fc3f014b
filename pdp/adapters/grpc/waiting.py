"""Calls that wait for their client, and end with the service."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, final

from pdp.service.errors import CannotAnswerError

__all__ = ["Waiting"]


@final
class Waiting:
    """The tasks that wait for nothing but their client. What is being answered is not among them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = False

    @contextmanager
    def for_client(self) -> Generator[None, None, None]:
        """Wait, within this, until the service ends.

        Raises:
            CannotAnswerError: The service ends.
        """
        ending = CannotAnswerError("ending", "the decision point ends, and waits no longer for this call")
        if self._ended:
            raise ending
        task = asyncio.current_task()
        assert task is not None, "only tasks wait"  # noqa: S101 - coroutines run in tasks
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._ended:
                raise
            task.uncancel()
            raise ending from None
        finally:
            self._tasks.discard(task)

    def end(self) -> None:
        """End all that wait, and whoever is about to."""
        self._ended = True
        for task in tuple(self._tasks):
            task.cancel()
