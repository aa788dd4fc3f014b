"""All workers together: begun, replaced when they die, and changed over to each new version at one moment.

INVARIANT: from the moment at which some worker may answer with a version, none answers with an older
one. Those that might (because they died, are stopped, or did not hold in time) are dead by then. The
same goes for the roots of callers, from the moment at which a renewal is said to be in force.
"""

import asyncio
import math
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self, final

from pdp.audit.counts import LOST, LogCounts
from pdp.limits import (
    HOLD_SECONDS,
    MAX_WORKER_PAUSE_SECONDS,
    WORKER_PAUSE_SECONDS,
    WORKER_STEADY_SECONDS,
)
from pdp.process.colleague import Colleague, WorkerGoneError
from pdp.process.images import Parcel
from pdp.process.messages import Confirm, Go, Renew, Retune
from pdp.process.panel import Panel
from pdp.store.versions import Published
from pdp.vocabulary import Millis

__all__ = ["CannotChangeOverError", "Version", "Workers"]


class CannotChangeOverError(Exception):
    """A worker cannot load a version; the message is what it said. All go on with the one before."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version as workers are given it.

    Attributes:
        number: Its place in the order of publication.
        revision: Its name.
        parcel: The open files that hold it.
        confirmed_at: When its source confirmed it first.
    """

    number: int
    revision: str
    parcel: Parcel
    confirmed_at: Millis

    @classmethod
    def of(cls, published: Published, parcel: Parcel) -> Self:
        """A published version, which open files hold."""
        return cls(
            number=published.number,
            revision=published.snapshot.revision,
            parcel=parcel,
            confirmed_at=published.confirmed.at,
        )


@final
class Workers:
    """The workers of a service. For one event loop.

    Attributes:
        version: What is served.
    """

    def __init__(
        self,
        slots: int,
        first: Version,
        panel: Panel,
        *,
        begin: Callable[[int], Awaitable[Colleague]],
        say: Callable[[str], None],
        changed: Callable[[int], None],
        failed: Callable[[str], None],
    ) -> None:
        """Begin none yet.

        Args:
            slots: How many there are to be.
            first: What they serve.
            panel: What they count on.
            begin: Begins the worker of a slot.
            say: Told what happens to them.
            changed: Told how many accept connections, whenever that changes.
            failed: Told why one cannot serve what is served.
        """
        self._slots = slots
        self.version = first
        self._confirmed_at = first.confirmed_at
        self._panel = panel
        self._begin = begin
        self._say = say
        self._changed = changed
        self._failed = failed
        self._serving: dict[int, Colleague] = {}
        self._alive: set[Colleague] = set()
        self._changing = asyncio.Lock()
        self._renewals = 0
        self._ending = asyncio.Event()
        self._keeping: tuple[asyncio.Task[None], ...] = ()

    def start(self) -> None:
        """Begin them all, and keep their number."""
        self._keeping = tuple(asyncio.create_task(self._keep(slot)) for slot in range(self._slots))

    def confirm(self, number: int, confirmed_at: Millis) -> None:
        """Tell all when the source confirmed a version, if it is the one that they serve."""
        if number != self.version.number:
            return  # all have changed over already, and whoever publishes is about to
        self._confirmed_at = confirmed_at
        for worker in self._serving.values():
            worker.tell(Confirm(number=number, confirmed_at=confirmed_at))

    def retune(self, settings: int) -> None:
        """Have all go on with the settings that an open file holds, those that are beginning as well."""
        for worker in self._alive:
            worker.tell(Retune(), [settings])

    async def renew(self, pack: Callable[[], int]) -> None:
        """Have all present and believe other certificates; returns once all do.

        It waits for no version that is being prepared.

        Args:
            pack: Opens a file that holds those in force. Called here, and nothing is awaited until all are
                told: of two threads that changed something, the one that comes last must not bring back
                what was in force when it began, such as a root that is removed.
        """
        self._renewals += 1
        number, certificates = self._renewals, pack()
        waiting = []
        for worker in tuple(self._alive):
            if worker.answers:
                taken = worker.renew(number, certificates)
                waiting.append(self._in_time(worker, taken, "take certificates"))
            else:  # it hears of them before it answers anybody
                worker.tell(Renew(number=number), [certificates])
        try:
            await asyncio.gather(*waiting)
        finally:
            os.close(certificates)

    async def change_over(self, version: Version) -> None:
        """Have all serve a version; returns once none can answer with the one before.

        Raises:
            CannotChangeOverError: One cannot load it. Nothing has changed.
        """
        async with self._changing:
            await self._prepare(version)
            # One that came up meanwhile waits for the lock, and then prepares this version.
            holding = [
                self._in_time(worker, worker.hold(version.number), "stop answering")
                for worker in self._serving.values()
            ]
            await asyncio.gather(*holding)
            before, self.version = self.version, version
            self._confirmed_at = version.confirmed_at
            for worker in self._serving.values():
                worker.tell(Go(number=version.number, confirmed_at=version.confirmed_at))
        before.parcel.close()

    async def _prepare(self, version: Version) -> None:
        asked = [
            worker.prepare(version.number, version.revision, version.parcel)
            for worker in self._serving.values()
        ]
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, WorkerGoneError):
                continue
            if isinstance(answer, BaseException):
                raise answer
            if answer.trouble:
                raise CannotChangeOverError(answer.trouble)

    async def _in_time(self, worker: Colleague, done: Awaitable[None], what: str) -> None:
        """A worker has done what it was told, or is dead."""
        try:
            async with asyncio.timeout(HOLD_SECONDS):
                await done
        except (TimeoutError, WorkerGoneError) as error:
            if isinstance(error, TimeoutError):
                self._say(f"worker {worker.slot} did not {what} within {HOLD_SECONDS} s; it is replaced")
            worker.kill()
            await worker.gone()

    async def end(self, signal: int, seconds: float) -> None:
        """Have all end by a signal; those that still live after so many seconds are killed."""
        self._ending.set()
        for worker in self._alive:
            worker.signal(signal)
        _, late = await asyncio.wait(self._keeping, timeout=seconds)
        for worker in tuple(self._alive):
            worker.kill()
        if late:
            await asyncio.wait(late)

    def hurry(self, signal: int) -> None:
        """Send those that are ending another signal."""
        for worker in self._alive:
            worker.signal(signal)

    # -- one slot ------------------------------------------------------------------------

    async def _keep(self, slot: int) -> None:
        """There is a worker in a slot, until the end."""
        pause = 0.0
        while not self._ending.is_set():
            steady = await self._employ(slot) >= WORKER_STEADY_SECONDS
            pause = 0.0 if steady else min(max(WORKER_PAUSE_SECONDS, 2 * pause), MAX_WORKER_PAUSE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._ending.wait()

    async def _employ(self, slot: int) -> float:
        """Begin a worker in a slot and wait until it has ended; how many seconds it served."""
        try:
            worker = await self._begin(slot)
        except OSError as error:
            if not self._ending.is_set():
                self._say(f"worker {slot} cannot be begun: {error.strerror}")
            return 0.0
        self._alive.add(worker)
        if self._ending.is_set():
            worker.kill()  # all others were told to end while this one was begun
        serving_since = math.inf
        try:
            await self._bring_up(worker)
            serving_since = time.monotonic()
            await worker.gone()
        except WorkerGoneError:
            pass
        finally:
            self._bury(worker)
        if not self._ending.is_set():
            self._say(f"worker {slot} (process {worker.pid}) has ended; another one takes its place")
        return max(0.0, time.monotonic() - serving_since)

    async def _bring_up(self, worker: Colleague) -> None:
        """Give a worker the version that is served, whichever that is by the time it has loaded it."""
        while True:
            version = self.version
            answer = await worker.prepare(version.number, version.revision, version.parcel)
            if answer.trouble:
                self._failed(answer.trouble)
                worker.kill()
                await worker.gone()
                return
            async with self._changing:
                if version is not self.version:
                    continue
                await worker.begin(version.number, self._confirmed_at)
                self._serving[worker.slot] = worker
            self._changed(len(self._serving))
            return

    def _bury(self, worker: Colleague) -> None:
        """Nobody counts on it any more; what it had not logged is lost."""
        self._alive.discard(worker)
        self._panel.leave(worker.slot)
        counters = self._panel.counters(worker.slot)
        counters.values[counters.cell(*LOST)] += LogCounts.of(counters.read()).waiting
        if self._serving.get(worker.slot) is worker:
            del self._serving[worker.slot]
            self._changed(len(self._serving))
