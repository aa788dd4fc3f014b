"""One client, whatever it is called from: connections, the cache, the stream, reports.

Everything here belongs to one event loop: that of the application (`pdp_client.async_client`), or one of our
own (`pdp_client.client`). Only the cache is looked at from elsewhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar, final

from pdp_client.cache import Kept, RegionCache
from pdp_client.decision import Decision
from pdp_client.endpoints import Endpoints
from pdp_client.errors import CouldNotAnswerError, ServiceError, UnreachableError
from pdp_client.follower import Follower
from pdp_client.limits import (
    FILE_LOOK_SECONDS,
    MAX_REPORTED,
    MAX_TIMES,
    REPORT_SECONDS,
    REPORT_WAIT_SECONDS,
)
from pdp_client.options import Settings
from pdp_client.question import Question
from pdp_client.tls import TlsWatch
from pdp_client.transports.base import Transport

__all__ = ["Core"]

_T = TypeVar("_T")
_LAST_TURN_SECONDS: Final = 0.01


@final
class Core:
    """Asks, keeps, follows and reports. To be begun and closed within one event loop."""

    def __init__(self, settings: Settings, tls: TlsWatch, cache: RegionCache) -> None:
        self._settings: Final = settings
        self._timeouts: Final = settings.timeouts
        self._tls = tls
        self._cache = cache
        self._endpoints: Final = Endpoints(settings.endpoints)
        self._transport: Transport = settings.make_transport(tls.current)
        self._follower: Final = Follower(cache, self._endpoints, lambda: self._transport)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Begin what goes on in the background. Called within the event loop."""
        self._in_background(self._look_at_files())
        if self._settings.reuse:
            self._in_background(self._follower.run())
            self._in_background(self._report())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def active(self) -> str:
        """The replica that is asked first."""
        return self._endpoints.active

    @property
    def trouble(self) -> CouldNotAnswerError | None:
        """Why there is no stream of revisions now, if there is none."""
        return self._follower.trouble

    # -- asking ------------------------------------------------------------------------------

    async def ask(self, question: Question, *, explain: bool = False) -> Decision:
        """Ask the service, and keep what it says if that is right.

        Raises:
            CouldNotAnswerError: There is no answer.
        """
        sent, era = self._cache.begin()
        transport = self._transport
        decision = await self._tried(lambda to: transport.decide(to, question, explain=explain))
        self._keep([question], [decision], sent, era)
        return decision

    async def ask_batch(self, questions: Sequence[Question]) -> list[Decision | CouldNotAnswerError]:
        """Ask the service several questions, all under one revision.

        Raises:
            CouldNotAnswerError: There are no answers at all.
        """
        sent, era = self._cache.begin()
        transport = self._transport
        found = await self._tried(lambda to: transport.decide_batch(to, questions))
        self._keep(questions, found, sent, era)
        return found

    def _keep(
        self,
        questions: Sequence[Question],
        found: Sequence[Decision | CouldNotAnswerError],
        sent: float,
        era: int,
    ) -> None:
        if not self._settings.reuse:
            return
        for question, decision in zip(questions, found, strict=True):
            if isinstance(decision, Decision):
                kept = self._cache.keep(question, decision, sent, era)
                if kept is Kept.OTHER_REVISION:
                    self._follower.confirm()

    async def _tried(self, ask: Callable[[str], Awaitable[_T]]) -> _T:
        """Ask one replica after the other, within the time for all of it. Asking twice does no harm."""
        try:
            async with asyncio.timeout(self._timeouts.overall):
                return await self._one_after_the_other(ask)
        except TimeoutError:
            raise UnreachableError("too_late", "no replica answered in time", self.active) from None

    async def _one_after_the_other(self, ask: Callable[[str], Awaitable[_T]]) -> _T:
        tries = self._endpoints.tries()
        failed: UnreachableError | ServiceError | None = None
        for endpoint in tries:
            if isinstance(failed, ServiceError) and failed.endpoint == endpoint:
                break  # it is there and has no answer: asking at once again is no help to it
            try:
                async with asyncio.timeout(self._timeouts.connect + self._timeouts.read):
                    found = await ask(endpoint)
            except TimeoutError:
                failed = UnreachableError("too_late", "the service did not answer in time", endpoint)
            except (UnreachableError, ServiceError) as error:
                failed = error
            else:
                if self._endpoints.answered(endpoint, tries[0]):
                    self._follower.move()
                return found
        if failed is None:
            raise UnreachableError("unreachable", "there is no replica to ask")
        raise failed

    # -- in the background -------------------------------------------------------------------

    async def _look_at_files(self) -> None:
        loop, changed = asyncio.get_running_loop(), False
        while True:
            await asyncio.sleep(FILE_LOOK_SECONDS)
            with suppress(Exception):  # whatever it was: looked at again, and until then nothing changes
                changed = await loop.run_in_executor(None, self._tls.look) or changed
                if changed:
                    self._become_somebody_else()
                    changed = False

    def _become_somebody_else(self) -> None:
        """Go on with the certificate and the roots that are in force now; nothing kept is for them."""
        was, self._transport = self._transport, self._settings.make_transport(self._tls.current)
        self._cache.begin_anew()
        self._follower.move()
        self._in_background(self._close_later(was))

    async def _close_later(self, transport: Transport) -> None:
        """Close connections once what was asked over them is answered."""
        try:
            await asyncio.sleep(self._timeouts.overall)
        finally:
            await transport.close()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            with suppress(Exception):  # counted there as not reported
                await self._report_all()

    async def _report_all(self) -> None:
        """Report what was used again. What is not taken is counted, and not told a second time."""
        while taken := self._cache.take_times(MAX_REPORTED):
            times = {name: min(count, MAX_TIMES) for name, count in taken.items()}
            try:
                async with asyncio.timeout(REPORT_WAIT_SECONDS):
                    await self._transport.report(self.active, times)
            except (CouldNotAnswerError, TimeoutError):
                self._cache.not_reported(sum(times.values()))
                return
            except BaseException:
                self._cache.not_reported(sum(times.values()))
                raise

    async def close(self) -> None:
        """End what goes on in the background, report what is left, and close all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._cache.begin_anew()
        try:
            if self._settings.reuse:
                await self._report_all()
        finally:
            await self._transport.close()
        await asyncio.sleep(_LAST_TURN_SECONDS)  # sockets are let go of in the next turns of the loop
