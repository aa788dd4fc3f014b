"""How many calls each caller has open: so many and no more, so that none can take all that there are.

A call counts from when it has a caller until it ends, whatever it waits for: a question, an answer, a
revision. How many there may be of all callers together is known to grpcio alone (`MAX_GRPC_CALLS`).
"""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import final

from pdp.limits import MAX_GRPC_CALLS_PER_CALLER
from pdp.service.errors import OverloadedError

__all__ = ["OpenCalls"]


@final
class OpenCalls:
    """Counts them by caller. For one event loop."""

    def __init__(self, shed: Callable[[], None]) -> None:
        """None is open; `shed` is told of each that is turned away."""
        self._shed = shed
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_of(self, caller: str) -> Generator[None, None, None]:
        """A call of a caller is open within this.

        Raises:
            OverloadedError: It has too many already.
        """
        if self._open[caller] >= MAX_GRPC_CALLS_PER_CALLER:
            self._shed()
            raise OverloadedError(
                "too_many_calls",
                f"at most {MAX_GRPC_CALLS_PER_CALLER} calls of one caller are open at once",
            )
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]
