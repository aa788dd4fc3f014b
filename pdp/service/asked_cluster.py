"""One cluster that is asked about tokens: whether it answers, who waits for it, and the threads that ask it.

What it has said, and for how long that holds, is kept by `pdp.service.reviews`.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, TypeAlias, final

from pdp.diagnostics import escape
from pdp.identity.fetch import FetchError
from pdp.identity.tokens.review import ReviewError
from pdp.limits import (
    MAX_REVIEW_THREADS,
    MAX_REVIEWS_AT_ONCE,
    MAX_WAITING_FOR_REVIEWS,
    MAX_WAITING_FOR_REVIEWS_PER_CALLER,
    REVIEW_FAILURES,
    REVIEW_PAUSE_SECONDS,
    REVIEW_WAIT_SECONDS,
)
from pdp.vocabulary import Millis

__all__ = ["Ask", "AskedCluster", "Reviewing"]

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
class AskedCluster:
    """One cluster, and whether it answers. For one event loop.

    Attributes:
        how: How it is asked.
        room: So many ask it at once.
    """

    def __init__(
        self, name: str, how: Reviewing, say: Callable[[str], None], steady: Callable[[], float]
    ) -> None:
        """A cluster that has not been asked yet.

        Args:
            name: Its issuer.
            how: How it is asked.
            say: Told when it does not answer, and when it does again.
            steady: Seconds that are never set back.
        """
        self.how: Final = how
        self.room: Final = asyncio.Semaphore(MAX_REVIEWS_AT_ONCE)
        self._name, self._say, self._steady = escape(name), say, steady
        self._waiting: Counter[str] = Counter()  # tokens that wait, by who shows them
        self._asked = 0  # times that are under way
        self._threads = 0  # those included whose answer nobody waits for any more
        self._failures = 0
        self._failed = 0.0

    def has_room_for(self, caller: str) -> bool:
        """Whether one more token that this caller shows may wait: nobody takes more than a share."""
        return (
            self._waiting[caller] < MAX_WAITING_FOR_REVIEWS_PER_CALLER
            and self._waiting.total() < MAX_WAITING_FOR_REVIEWS
        )

    def enter(self, caller: str) -> None:
        """One more token of a caller waits."""
        self._waiting[caller] += 1

    def leave(self, caller: str) -> None:
        """One fewer does."""
        self._waiting[caller] -= 1
        if not self._waiting[caller]:
            del self._waiting[caller]

    def may_be_asked(self) -> bool:
        """Whether it answers, or has had its pause, and nobody is trying."""
        if self._failures < REVIEW_FAILURES:
            return True
        return self._asked == 0 and self._steady() - self._failed >= REVIEW_PAUSE_SECONDS

    async def ask(self, text: str, subject: str) -> str | None:
        """What it says, as `Ask` has it; None if nothing, or nothing in time."""
        self._asked += 1
        try:
            async with asyncio.timeout(REVIEW_WAIT_SECONDS):
                refusal = await self._in_thread(partial(self.how.ask, text, subject))
        except (FetchError, ReviewError) as error:
            self._fails(str(error))
            return None
        except TimeoutError:
            self._fails("it takes too long")
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

    async def _in_thread(self, work: Callable[[], str]) -> str:
        """What `work` returns, in a thread of its own.

        Nothing bounds how long a name takes to be resolved, and a thread cannot be ended. So whoever waits
        goes when it takes too long; the thread ends by itself some time, and so many may be left like that.
        """
        if self._threads >= MAX_REVIEW_THREADS:
            raise FetchError("earlier questions to it have not come to an end: is its name resolved?")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def settle(found: str, error: BaseException | None) -> None:
            self._threads -= 1
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
        self._threads += 1
        return await answer
