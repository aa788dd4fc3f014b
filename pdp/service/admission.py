"""Who is let in under load: so many questions at a time, and so many a second of one caller.

What is turned away costs next to nothing, so that the rest is answered in time. Nothing waits here:
a queue would only make every answer late.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, final

from pdp.limits import MAX_CALLERS_METERED
from pdp.service.errors import OverloadedError

__all__ = ["Admission"]

_IN_FLIGHT: Final = "in_flight"
_RATE: Final = "rate"


@final
class Admission:
    """Counts questions in flight, and meters callers by a bucket that holds one second's worth.

    For one thread, that of the event loop.

    Attributes:
        in_flight: Questions that were let in and are not done.
    """

    def __init__(
        self, *, in_flight: int, per_second: int, clock: Callable[[], float], shed: Callable[[str], None]
    ) -> None:
        """Meter by these limits.

        Args:
            in_flight: How many questions at a time.
            per_second: How many of one caller in a second; 0 for as many as it likes.
            clock: Seconds that only go forward.
            shed: Told why, for each call that is turned away.
        """
        self.in_flight = 0
        self.limit(in_flight=in_flight, per_second=per_second)
        self._clock = clock
        self._shed = shed
        #: For each caller what is left in its bucket, and when that was; the longest unseen first.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def limit(self, *, in_flight: int, per_second: int) -> None:
        """Meter by these limits from now on; those that were let in stay."""
        self._most = in_flight
        self._per_second = per_second

    def enter(self, caller: str, questions: int = 1) -> None:
        """Let questions in; `leave` has to follow.

        Raises:
            OverloadedError: There are too many, or too many of this caller.
        """
        if self.in_flight + questions > self._most and self.in_flight:
            self._shed(_IN_FLIGHT)
            raise OverloadedError("overloaded", "too many questions at a time; ask again a little later")
        if self._per_second:
            self._meter(caller, questions)
        self.in_flight += questions

    def leave(self, questions: int = 1) -> None:
        """They are answered, or were not."""
        self.in_flight -= questions

    @contextmanager
    def aside(self, questions: int) -> Iterator[None]:
        """Around a wait for somebody else: questions that were let in take nobody's place meanwhile."""
        self.in_flight -= questions
        try:
            yield
        finally:
            self.in_flight += questions

    def _meter(self, caller: str, questions: int) -> None:
        now, most = self._clock(), float(self._per_second)
        left, since = self._buckets.pop(caller, (most, now))
        left = min(most, left + (now - since) * most)
        if left < questions and left < most:
            self._buckets[caller] = (left, now)
            self._shed(_RATE)
            raise OverloadedError("rate_limited", "this caller asks too often; ask again a little later")
        # A batch of more than a second's worth is let in by a full bucket, and paid for afterwards.
        self._buckets[caller] = (left - questions, now)
        if len(self._buckets) > MAX_CALLERS_METERED:
            self._buckets.popitem(last=False)
