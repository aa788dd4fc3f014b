"""Answers that are kept, and used again as long as `docs/caching.md` of pdp says that this is right.

Three things are put together here, under one lock: what the stream of revisions told last and when, the
answers of that revision by region, and how often each was used again. Who reads the stream is
`pdp_client.follower`, who asks the service `pdp_client.core`, who reports hits `pdp_client.reuse`.

INVARIANT: an answer is found only while the stream spoke within the lease, under the very revision that it
told last, for the caller identity that the answer was given to.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import Final, final

import msgspec

from pdp_client import clock as clocks
from pdp_client.decision import Decision
from pdp_client.limits import LEASE_SECONDS, MAX_ENTRIES, MAX_REUSE_SECONDS, MAX_UNREPORTED
from pdp_client.plain import as_plain
from pdp_client.question import Question
from pdp_client.region import contains
from pdp_client.region_index import Entry, RegionIndex

__all__ = ["CacheCounts", "Kept", "RegionCache"]

_NEVER: Final = float("-inf")


class Kept(Enum):
    """What became of an answer."""

    YES = "yes"
    NO = "no"
    OTHER_REVISION = "other_revision"  # the stream told another one: it has to confirm


class CacheCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the start, and what is held now.

    Attributes:
        entries: Answers that are held.
        hits: Questions that were answered from memory.
        misses: Questions that were not.
        dropped: How often everything was dropped.
        unreported: Hits that were never reported: there was no room, or the service did not take them.
    """

    entries: int
    hits: int
    misses: int
    dropped: int
    unreported: int


@final
class RegionCache:
    """For one caller identity at a time. Any thread may use it."""

    def __init__(
        self,
        *,
        max_entries: int = MAX_ENTRIES,
        lease_seconds: float = LEASE_SECONDS,
        clock: Callable[[], float] = clocks.now,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """An empty one.

        Args:
            max_entries: How many answers are held; the least recently used goes.
            lease_seconds: How long the stream may be silent.
            clock: Gives seconds that nobody sets.
            wall_clock: Gives Unix time, for `valid_until`.
        """
        self._max_entries = max_entries
        self.lease_seconds: Final = lease_seconds
        self._clock = clock
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._index = RegionIndex()
        self._recent: OrderedDict[Entry, None] = OrderedDict()
        self._revision: str | None = None
        self._heard = _NEVER
        self._era = 0
        self._swept = _NEVER
        self._times: dict[str, int] = {}
        self._hits = self._misses = self._dropped = self._unreported = 0

    # -- for whoever asks ------------------------------------------------------------------

    def find(self, question: Question) -> Decision | None:
        """The answer to a question, if it is held and may be used again now."""
        asked = as_plain(question)
        with self._lock:
            if asked is not None:
                now = self._clock()
                if now - self._heard < self.lease_seconds:
                    entry = self._index.find(asked, now)
                    if entry is not None:
                        self._recent.move_to_end(entry)
                        self._count(entry.answer.decision_id)
                        return entry.answer
            self._misses += 1
            return None

    def begin(self) -> tuple[float, int]:
        """When a question is sent, and the era in which: to be handed to `keep`, and taken before it is."""
        return self._clock(), self._era

    def keep(self, question: Question, decision: Decision, sent: float, era: int) -> Kept:
        """Keep the answer to a question, if that is right.

        Args:
            question: What was asked.
            decision: The answer.
            sent: When it was sent.
            era: The era of then: an answer to another identity is not kept.
        """
        asked = as_plain(question)
        with self._lock:
            if era != self._era or self._revision is None:
                return Kept.NO
            if decision.revision != self._revision:
                # One of the two is old. Which one, the stream has to say.
                self._drop()
                return Kept.OTHER_REVISION
            region = decision.region
            if asked is None or region is None or not decision.counted:
                return Kept.NO
            now = self._clock()
            expires = self._expires(decision, sent, now)
            if expires <= now or not contains(region, asked, asked):
                return Kept.NO
            if now - self._swept >= MAX_REUSE_SECONDS:
                self._sweep(now)
            entry = Entry(region, decision.again(), expires)
            gone = self._index.add(entry, asked)
            if gone is None:
                return Kept.NO
            for other in gone:
                del self._recent[other]
            self._recent[entry] = None
            if len(self._recent) > self._max_entries:
                self._index.remove(self._recent.popitem(last=False)[0])
            return Kept.YES

    def _expires(self, decision: Decision, sent: float, now: float) -> float:
        expires = sent + min(decision.max_age_ms / 1000, MAX_REUSE_SECONDS)
        if decision.valid_until is not None:
            # Its age says so already, by the clock that counts; a clock of ours that is ahead costs hits.
            expires = min(expires, now + decision.valid_until - self._wall_clock())
        return expires

    def _sweep(self, now: float) -> None:
        """Let go what has ended: it holds memory, and the shapes of others' room."""
        self._swept = now
        for entry in [each for each in self._recent if each.expires <= now]:
            self._index.remove(entry)
            del self._recent[entry]

    def _count(self, decision_id: str) -> None:
        self._hits += 1
        times = self._times
        if decision_id in times:
            times[decision_id] += 1
        elif len(times) < MAX_UNREPORTED:
            times[decision_id] = 1
        else:
            self._unreported += 1

    # -- for whoever follows the stream ----------------------------------------------------

    def told(self, revision: str) -> None:
        """The stream tells which revision is served. Of another one nothing is left, before anything else."""
        with self._lock:
            if revision != self._revision:
                self._drop()
                self._revision = revision
            self._heard = self._clock()

    def heard(self) -> None:
        """The stream says that it is alive. It counts only where it has told a revision."""
        with self._lock:
            if self._revision is not None:
                self._heard = self._clock()

    def suspend(self) -> None:
        """Use nothing again until the stream speaks: it moves to another replica, or is refused."""
        with self._lock:
            self._heard = _NEVER

    def begin_anew(self) -> None:
        """Forget everything: the caller identity is another one, or may be."""
        with self._lock:
            self._era += 1
            self._drop()

    @property
    def revision(self) -> str | None:
        """What the stream told last; None if it has to confirm that."""
        return self._revision

    @property
    def is_used(self) -> bool:
        """Whether answers may be used again now."""
        with self._lock:
            return self._clock() - self._heard < self.lease_seconds

    def _drop(self) -> None:
        self._revision, self._heard = None, _NEVER
        self._dropped += 1
        self._index = RegionIndex()
        self._recent.clear()

    # -- for whoever reports and looks -------------------------------------------------------

    def take_times(self, most: int) -> dict[str, int]:
        """How often answers were used again since they were last taken; at most so many answers."""
        with self._lock:
            if len(self._times) <= most:
                taken, self._times = self._times, {}
                return taken
            return {name: self._times.pop(name) for name in list(self._times)[:most]}

    def not_reported(self, times: int) -> None:
        """Count hits that the service was not told of."""
        with self._lock:
            self._unreported += times

    @property
    def counts(self) -> CacheCounts:
        """What happened until now."""
        with self._lock:
            return CacheCounts(
                entries=len(self._recent),
                hits=self._hits,
                misses=self._misses,
                dropped=self._dropped,
                unreported=self._unreported,
            )
