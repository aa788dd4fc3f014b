"""Calls that wait for their client, and end with the service, or with the trust in their caller."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, final

from pdp.service.errors import CannotAnswerError

__all__ = ["Waiting"]


@final
class Waiting:
    """The tasks that wait for nothing but their client. What is being answered is not among them."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], Callable[[], object]] = {}
        self._endings: dict[asyncio.Task[Any], Exception] = {}
        self._ended = False

    @contextmanager
    def for_client(self, check: Callable[[], object]) -> Generator[None, None, None]:
        """Wait, within this, until the service ends or `check` raises; it is called at each `recheck`.

        Raises:
            CannotAnswerError: The service ends.
            Exception: What `check` raised.
        """
        if self._ended:
            raise _ending()
        task = asyncio.current_task()
        assert task is not None, "only tasks wait"  # noqa: S101 - coroutines run in tasks
        self._tasks[task] = check
        try:
            yield
        except asyncio.CancelledError:
            ending = self._endings.get(task)
            if ending is None:
                raise  # its client went
            task.uncancel()
            raise ending from None
        finally:
            self._tasks.pop(task, None)
            self._endings.pop(task, None)

    def recheck(self) -> None:
        """End those whose check raises."""
        for task, check in tuple(self._tasks.items()):
            try:
                check()
            except Exception as error:  # noqa: BLE001 - whatever it is, the call ends with it
                self._end(task, error)

    def end(self) -> None:
        """End all that wait, and whoever is about to."""
        self._ended = True
        for task in tuple(self._tasks):
            self._end(task, _ending())

    def _end(self, task: asyncio.Task[Any], why: Exception) -> None:
        if task not in self._endings:
            self._endings[task] = why
            task.cancel()


def _ending() -> CannotAnswerError:
    return CannotAnswerError("ending", "the decision point ends, and waits no longer for this call")
