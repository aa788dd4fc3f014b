"""How many decisions the log was given, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self, final

from pdp.counters import Name

__all__ = [
    "DECIDED", "FAILED", "LOGGED", "LOST", "REFUSED", "REPORTS_FAILED", "REPORTS_LOGGED", "REPORTS_REFUSED",
    "SAMPLED_OUT", "LogCounts",
]  # fmt: skip

# Names of cells (`pdp.counters`). Each is counted by one thread of one process: `LOGGED` and `FAILED` by
# the writer, `LOST` by whoever buries the process, the others where decisions are made.
DECIDED: Final[Name] = ("log", "decided")
LOGGED: Final[Name] = ("log", "logged")
FAILED: Final[Name] = ("log", "failed")  # could not be written
REFUSED: Final[Name] = ("log", "refused")  # did not fit into the queue
LOST: Final[Name] = ("log", "lost")  # were waiting when their process was killed
SAMPLED_OUT: Final[Name] = ("log", "sampled_out")
# Reports of reuse, counted apart: no decision is among them.
REPORTS_LOGGED: Final[Name] = ("log", "reports_logged")
REPORTS_FAILED: Final[Name] = ("log", "reports_failed")
REPORTS_REFUSED: Final[Name] = ("log", "reports_refused")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LogCounts:
    """Counts since the start.

    INVARIANT: `decided == logged + dropped + sampled_out + waiting`.

    Attributes:
        decided: Decisions that the log was given.
        logged: Those whose line was written.
        failed: Those whose line could not be written.
        refused: Those that did not fit into the queue.
        lost: Those that were waiting when their process was killed.
        sampled_out: Those that were left out on purpose.
        reports_logged: Reports of reuse whose line was written.
        reports_dropped: Those that did not fit into the queue, or could not be written.
    """

    decided: int
    logged: int
    failed: int
    refused: int
    lost: int
    sampled_out: int
    reports_logged: int = 0
    reports_dropped: int = 0

    @classmethod
    def of(cls, cells: Mapping[Name, int]) -> Self:
        """The counts among those of one page, or the sums of several."""
        return cls(
            decided=cells.get(DECIDED, 0),
            logged=cells.get(LOGGED, 0),
            failed=cells.get(FAILED, 0),
            refused=cells.get(REFUSED, 0),
            lost=cells.get(LOST, 0),
            sampled_out=cells.get(SAMPLED_OUT, 0),
            reports_logged=cells.get(REPORTS_LOGGED, 0),
            reports_dropped=cells.get(REPORTS_FAILED, 0) + cells.get(REPORTS_REFUSED, 0),
        )

    @property
    def dropped(self) -> int:
        """Decisions without a line, but for those that are left out on purpose."""
        return self.failed + self.refused + self.lost

    @property
    def waiting(self) -> int:
        """Decisions whose line is still to be written."""
        return max(0, self.decided - self.logged - self.dropped - self.sampled_out)
