"""Whether answers may be given.

Where several processes serve, all change over to a new version at one moment: nobody answers from the
last answer of the old version until everybody has the new one (`pdp.process`). For that moment, some
milliseconds, questions wait here. A process that serves alone never closes its gate.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, final

__all__ = ["Gate"]

_TURN_SECONDS: Final = 0.001
#: How long answers that were given to a transport may take to leave it. Those of a client that does not
#: read are not waited for: to it they are answers of before.
_LEAVE_SECONDS: Final = 0.02


@final
class Gate:
    """For one event loop.

    INVARIANT: between a look at `closed`, or the end of `passed`, and the moment at which the answer is
    given to its transport nothing is awaited.

    Attributes:
        closed: Whether questions have to wait: `await passed()`.
    """

    def __init__(self) -> None:
        self.closed = False
        self._opened = asyncio.Event()
        self._leaving = 0

    async def passed(self) -> None:
        """Wait while it is closed."""
        while self.closed:
            await self._opened.wait()

    def open(self) -> None:
        """Let questions be answered."""
        self.closed = False
        self._opened.set()

    async def close(self) -> None:
        """Let no more questions be answered; returns when what was answered before has left."""
        self.closed = True
        self._opened.clear()
        await asyncio.sleep(_TURN_SECONDS)  # loops write at the end of a turn
        until = time.monotonic() + _LEAVE_SECONDS
        while self._leaving and time.monotonic() < until:  # noqa: ASYNC110 - rarely once
            await asyncio.sleep(_TURN_SECONDS)

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Around handing an answer to a transport that says when it is gone."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """An answer was given to a transport that will say when it is gone: `leave` has to follow."""
        self._leaving += 1

    def leave(self) -> None:
        """It is gone."""
        self._leaving -= 1
