"""What clusters say of service account tokens: asked seldom, and remembered for seconds.

A question waits for an answer for a bounded time; many that show one token wait for one answer. A cluster
that does not answer is left alone for a moment, and its tokens prove nothing then: see
`pdp.service.asked_cluster`. What is asked and how an answer is read is in `pdp.identity.tokens.review`; who
asks is told from outside.

INVARIANT: what was said counts from when it was asked for, so a pod that is gone is believed no longer than
the operator has set, however slow the cluster is.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import final

from cachetools import LRUCache

from pdp.identity.tokens.issuer import TokenIssuer
from pdp.identity.tokens.review import Review
from pdp.limits import MAX_REVIEWS_KEPT, REFUSED_REVIEW_SECONDS, REVIEW_WAIT_SECONDS
from pdp.service.asked_cluster import AskedCluster, Reviewing
from pdp.service.known_tokens import digest_of
from pdp.vocabulary import Millis

__all__ = ["Reviews"]


@final
class _Question:
    """About one token."""

    def __init__(self) -> None:
        self.waiting = 0  # those who do
        self.begun = False  # whether the cluster is being asked
        self.task: asyncio.Task[None] | None = None


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
        self._clusters = {name: AskedCluster(name, how, say, steady) for name, how in clusters.items()}
        self._clock, self._count = clock, count
        # Apart: what nobody signed would push out what somebody did.
        self._good: LRUCache[bytes, Review] = LRUCache(maxsize=MAX_REVIEWS_KEPT)
        self._bad: LRUCache[bytes, Review] = LRUCache(maxsize=MAX_REVIEWS_KEPT)
        self._under_way: dict[bytes, _Question] = {}

    def find(self, digest: bytes) -> Review | None:
        """What was said of a token, by its digest; whether that still holds is for whoever asks."""
        return self._good.get(digest) or self._bad.get(digest)

    async def wanted(self, issuer: TokenIssuer, text: str, subject: str, caller: str) -> bool:
        """Wait, for a bounded time, for what a cluster says of a token that is in order but for that.

        Args:
            issuer: The cluster.
            text: The token.
            subject: Whom it is about.
            caller: Who shows it; made-up tokens take no more than the places of one caller.

        Returns:
            Whether it has said something.
        """
        cluster = self._clusters.get(issuer.name)
        if cluster is None or not cluster.has_room_for(caller):
            return False
        digest = digest_of(text)
        question = self._under_way.get(digest)
        if question is None or question.task is None:
            if not cluster.may_be_asked():
                return False
            question = self._under_way[digest] = _Question()
            question.task = asyncio.create_task(self._once(cluster, digest, question, text, subject))
        cluster.enter(caller)
        question.waiting += 1
        try:
            async with asyncio.timeout(REVIEW_WAIT_SECONDS):
                await asyncio.shield(question.task)
        except TimeoutError:
            return False
        finally:
            cluster.leave(caller)
            question.waiting -= 1
            # Who goes away leaves no question behind: those that wait are as few as those who do.
            if not question.waiting and not question.begun:
                question.task.cancel()
                self._forget(digest, question)
        review = self.find(digest)
        return review is not None and review.holds(self._clock())

    async def _once(
        self, cluster: AskedCluster, digest: bytes, question: _Question, text: str, subject: str
    ) -> None:
        try:
            async with cluster.room:
                if not cluster.may_be_asked():
                    return  # it did not answer those who came before
                question.begun = True
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
            self._forget(digest, question)

    def _forget(self, digest: bytes, question: _Question) -> None:
        if self._under_way.get(digest) is question:  # else it is another, about the same token
            del self._under_way[digest]
