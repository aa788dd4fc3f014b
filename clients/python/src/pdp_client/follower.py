"""Follows the revisions of the active replica, and tells the cache what it hears.

What the stream says counts from one connection at a time. One that was silent for a lease is given up, even
if more comes out of it later: what was on its way for so long may be old. Answers that contradict the
stream have it begun again, since one of the two is old.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any, Final, final

from pdp_client import clock
from pdp_client.cache import RegionCache
from pdp_client.endpoints import Endpoints
from pdp_client.errors import CouldNotAnswerError, UnreachableError
from pdp_client.limits import CONFIRM_SECONDS, FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS
from pdp_client.transports.base import Transport

__all__ = ["Follower"]

_STEADY_SECONDS: Final = 1.0  # a stream that was there for so long ended by its age: the next begins at once


@final
class Follower:
    """One stream at a time, begun again whenever it ends. For one event loop."""

    def __init__(self, cache: RegionCache, endpoints: Endpoints, transport: Callable[[], Transport]) -> None:
        self._cache = cache
        self._endpoints = endpoints
        self._transport = transport
        self._anew = asyncio.Event()
        self._may_confirm_at = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        #: Why there is no stream now, if there is none.
        self.trouble: CouldNotAnswerError | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self._anew.clear()
            if not await self._unless_anew(self._follow()):
                await self._unless_anew(self._wait())

    def move(self) -> None:
        """Another replica is active, or we are somebody else: what the old stream says counts no more."""
        self._cache.suspend()
        self._pause = FIRST_PAUSE_SECONDS
        self._anew.set()

    def confirm(self) -> None:
        """An answer had another revision than was told: begin a new stream, but not too often."""
        now = clock.now()
        if self._may_confirm_at > now + CONFIRM_SECONDS:
            return  # it is going to be
        wait = max(0.0, self._may_confirm_at - now)
        self._may_confirm_at = now + wait + CONFIRM_SECONDS
        asyncio.get_running_loop().call_later(wait, self._anew.set)

    async def _unless_anew(self, work: Coroutine[Any, Any, bool]) -> bool:
        """Do something, or give it up once a stream has to be begun anew; whether one is to begin at once."""
        doing = asyncio.ensure_future(work)
        anew = asyncio.ensure_future(self._anew.wait())
        try:
            await asyncio.wait({doing, anew}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # INVARIANT: from here on nothing of the old stream reaches the cache.
            anew.cancel()
            doing.cancel()
            await asyncio.gather(doing, anew, return_exceptions=True)
        return True if doing.cancelled() else doing.result()

    async def _follow(self) -> bool:
        """One stream until it ends; whether the next is to begin at once."""
        endpoint, began = self._endpoints.active, clock.now()
        try:
            await self._hear(endpoint)
        except UnreachableError as error:
            self.trouble = error
            if self._endpoints.failed(endpoint):
                self._cache.suspend()
        except CouldNotAnswerError as error:
            self.trouble = error
            self._cache.suspend()  # we may ask nothing any more, or do not understand what we are told
            return False
        if clock.now() - began < _STEADY_SECONDS:
            return False
        self._pause = FIRST_PAUSE_SECONDS
        return True

    async def _hear(self, endpoint: str) -> None:
        silence = self._cache.lease_seconds
        heard: float | None = None  # none before a revision was told: whoever says less than that is no news
        async with aclosing(self._transport().revisions(endpoint, silence)) as stream:
            async for revision in stream:
                now = clock.now()
                if heard is not None and now - heard >= silence:
                    raise UnreachableError("too_late", "the stream of revisions was silent", endpoint)
                if revision is not None:
                    self._cache.told(revision)
                    self.trouble = None
                elif heard is None:
                    continue
                else:
                    self._cache.heard()
                heard = now

    async def _wait(self) -> bool:
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - not all clients at once
        self._pause = min(2 * self._pause, LAST_PAUSE_SECONDS)
        return True
