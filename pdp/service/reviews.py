"""What clusters say of service account tokens: asked seldom, and remembered for seconds.

A question waits for an answer for a bounded time; many that show one token wait for one answer. A cluster
that does not answer is left alone for a moment, and its tokens prove nothing then. What is asked and how an
answer is read is in `pdp.identity.tokens.review`; who asks is told from outside.

INVARIANT: what was said counts from when it was asked for, so a pod that is gone is believed no longer than
the operator has set, however slow the cluster is.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, TypeAlias, final

from cachetools import LRUCache

from pdp.diagnostics import escape
from pdp.identity.fetch import FetchError
from pdp.identity.tokens.issuer import TokenIssuer
from pdp.identity.tokens.review import Review, ReviewError
from pdp.limits import (
    MAX_REVIEWS_AT_ONCE,
    MAX_REVIEWS_KEPT,
    MAX_WAITING_FOR_REVIEWS,
    REFUSED_REVIEW_SECONDS,
    REVIEW_FAILURES,
    REVIEW_PAUSE_SECONDS,
    REVIEW_WAIT_SECONDS,
)
from pdp.service.known_tokens import digest_of
from pdp.vocabulary import Millis

__all__ = ["Ask", "Reviewing", "Reviews"]

#: Asks a cluster about a token with this subject: why it does not take it, empty where it does. It blocks,
#: and raises FetchError or ReviewError.
Ask: TypeAlias = Callable[[str, str], str]


class Reviewing(NamedTuple):
    """How a cluster is asked.

    Attributes:
        ask: Asks it.
        lifetime: How long what it says holds.
    """

    ask: Ask
    lifetime: Millis


@final
class Reviews:
    """Asks clusters and remembers what they said. For one event loop."""

    def __init__(
        self,
        clusters: Mapping[str, Reviewing],
        *,
        clock: Callable[[], Millis],
        say: Callable[[str], None],
        count: Callable[[str], None] = lambda _: None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask these clusters, by their issuer.

        Args:
            clusters: How each is asked.
            clock: The wall clock.
            say: Told when one does not answer, and when it does again.
            count: Told what becomes of each token, as `pdp.service.metrics.Metrics.reviewed()` has it.
            steady: Seconds that are never set back.
        """
        self._clusters = {name: _Cluster(name, how, say, steady) for name, how in clusters.items()}
        self._clock, self._steady, self._count = clock, steady, count
        # Apart: what nobody signed would push out what somebody did.
        self._good: LRUCache[bytes, Review] = LRUCache(maxsize=MAX_REVIEWS_KEPT)
        self._bad: LRUCache[bytes, Review] = LRUCache(maxsize=MAX_REVIEWS_KEPT)
        self._under_way: dict[bytes, asyncio.Task[None]] = {}

    def find(self, digest: bytes) -> Review | None:
        """What was said of a token, by its digest; whether that still holds is for whoever asks."""
        return self._good.get(digest) or self._bad.get(digest)

    async def wanted(self, issuer: TokenIssuer, text: str, subject: str, questions: int = 1) -> bool:
        """Wait, for a bounded time, for what a cluster says of a token that is in order but for that.

        Args:
            issuer: The cluster.
            text: The token.
            subject: Whom it is about.
            questions: How many questions wait for it.

        Returns:
            Whether it has said something.
        """
        cluster = self._clusters.get(issuer.name)
        if cluster is None or cluster.waiting + questions > MAX_WAITING_FOR_REVIEWS:
            return False
        digest = digest_of(text)
        task = self._under_way.get(digest)
        if task is None:
            if not cluster.may_be_asked():
                return False
            task = self._under_way[digest] = asyncio.create_task(self._once(cluster, digest, text, subject))
        cluster.waiting += questions
        try:
            async with asyncio.timeout(REVIEW_WAIT_SECONDS):
                await asyncio.shield(task)
        except TimeoutError:
            return False
        finally:
            cluster.waiting -= questions
        review = self.find(digest)
        return review is not None and review.holds(self._clock())

    async def _once(self, cluster: "_Cluster", digest: bytes, text: str, subject: str) -> None:
        try:
            began = self._steady()
            async with cluster.room:
                if self._steady() - began > REVIEW_WAIT_SECONDS or not cluster.may_be_asked():
                    return  # nobody waits any more, or it did not answer those who came before
                begins = self._clock()
                refusal = await cluster.ask(text, subject)
                if refusal is None:
                    self._count("failed")
                    return
                self._count("rejected" if refusal else "accepted")
                lasts = round(REFUSED_REVIEW_SECONDS * 1000) if refusal else cluster.how.lifetime
                review = Review(begins, begins + lasts, refusal)
                kept, other = (self._bad, self._good) if refusal else (self._good, self._bad)
                kept[digest] = review
                other.pop(digest, None)
        finally:
            del self._under_way[digest]


@final
class _Cluster:
    """One cluster, and whether it answers."""

    def __init__(
        self, name: str, how: Reviewing, say: Callable[[str], None], steady: Callable[[], float]
    ) -> None:
        self.how: Final = how
        self.room: Final = asyncio.Semaphore(MAX_REVIEWS_AT_ONCE)
        self._name, self._say, self._steady = escape(name), say, steady
        self.waiting = 0  # questions
        self._asked = 0  # times that are under way
        self._failures = 0
        self._failed = 0.0

    def may_be_asked(self) -> bool:
        """Whether it answers, or has had its pause, and nobody is trying."""
        if self._failures < REVIEW_FAILURES:
            return True
        return self._asked == 0 and self._steady() - self._failed >= REVIEW_PAUSE_SECONDS

    async def ask(self, text: str, subject: str) -> str | None:
        """What it says, as `Ask` has it; None if nothing."""
        self._asked += 1
        try:
            refusal = await _in_thread(partial(self.how.ask, text, subject))
        except (FetchError, ReviewError) as error:
            self._fails(str(error))
            return None
        except Exception as error:  # noqa: BLE001 -- the question is refused; the next one asks again
            self._fails(f"a defect of pdp: {type(error).__name__}")
            return None
        finally:
            self._asked -= 1
        if self._failures >= REVIEW_FAILURES:
            self._say(f"the cluster {self._name} reviews tokens again")
        self._failures = 0
        return refusal

    def _fails(self, why: str) -> None:
        self._failures += 1
        self._failed = self._steady()
        if self._failures == REVIEW_FAILURES:
            self._say(f"the cluster {self._name} does not review tokens: {escape(why)}")


async def _in_thread(work: Callable[[], str]) -> str:
    """What `work` returns, in a thread of its own: one that hangs takes nobody's place, and may be left."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def settle(found: str, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(found)
        else:
            answer.set_exception(error)

    def run() -> None:
        found, error = "", None
        try:
            found = work()
        except Exception as caught:  # noqa: BLE001 -- it is raised where it is awaited
            error = caught
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, found, error)

    threading.Thread(target=run, name="token-review", daemon=True).start()
    return await answer
