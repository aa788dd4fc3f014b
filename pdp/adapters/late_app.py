"""The HTTP application, made once there is time, or once a request comes that needs it.

What it is made of takes a quarter of a second to import, and most questions do not come by it
(`pdp.adapters.direct`): a service that starts answers them first.
"""

import asyncio
from collections.abc import Callable
from typing import final

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["LateApp"]


@final
class LateApp:
    """An application that is not there yet; whoever asks it waits until it is."""

    def __init__(self, build: Callable[[], ASGIApp]) -> None:
        """An application that `build` makes, once, in a thread of its own."""
        self._build = build
        self._made: asyncio.Future[ASGIApp] | None = None

    async def made(self) -> ASGIApp:
        """The application; it is made now if that has not begun."""
        if self._made is None:
            self._made = asyncio.ensure_future(asyncio.to_thread(self._build))
        return await asyncio.shield(self._made)  # others wait for it too

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await (await self.made())(scope, receive, send)
