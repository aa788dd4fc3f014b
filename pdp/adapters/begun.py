"""A coroutine that is run as far as it comes without waiting, and in a task only if it has to wait.

Most questions are answered without any wait; a task for each, and a turn of the event loop before it begins,
would cost more than the answer. (From Python 3.12 on `asyncio.eager_task_factory` does the like, for every
task of the loop.)
"""

from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar, final

__all__ = ["Begun"]

_T = TypeVar("_T")


@final
class Begun(Generic[_T]):
    """A coroutine that was begun outside of any task; awaiting it goes on with it in one.

    What it does before its first wait must not ask in which task it runs, as `asyncio.timeout` does, and must
    not raise.

    Attributes:
        result: What it came to; None while it waits.
    """

    __slots__ = ("_coroutine", "_waits_for", "result")

    def __init__(self, coroutine: Coroutine[Any, Any, _T]) -> None:
        self._coroutine = coroutine
        self.result: _T | None = None
        try:
            self._waits_for = coroutine.send(None)
        except StopIteration as end:
            self.result = end.value

    def __await__(self) -> Generator[Any, Any, _T]:
        if self.result is not None:
            return self.result
        waits_for = self._waits_for
        while True:
            try:
                sent = yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's, such as its cancellation
                step = partial(self._coroutine.throw, error)
            else:
                step = partial(self._coroutine.send, sent)
            try:
                waits_for = step()
            except StopIteration as end:
                ended: _T = end.value
                return ended
