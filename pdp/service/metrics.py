"""What the service counts of itself.

Counting is a dictionary look-up and an addition; text comes in when somebody asks
(`pdp.adapters.metrics_page`). One thread counts, that of the event loop, but for what others do: reloads,
renewals, settings. Any may read. Where several processes serve, each counts on a page of its own
(`pdp.counters`), and what is told is the sum.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Final, final

from pdp.counters import Counters, Name
from pdp.limits import MAX_METRIC_LABELS
from pdp.service.counts import (
    ADMIN_ENDS,
    DECISIONS,
    IN_FLIGHT,
    LATENCY,
    LATENCY_NS,
    LATENCY_SECONDS,
    OTHERS_COUNT,
    REFUSED,
    REFUSED_FILES,
    RELOADS,
    REMEMBERED,
    RENEWALS,
    REUSED,
    REVIEWS,
    SETTINGS,
    SHADOWED,
    SHED,
    TOKEN_OUTCOMES,
    TOKENS,
    Counts,
)
from pdp.vocabulary import Decision, Millis

__all__ = ["OTHER", "Metrics"]

#: In place of a label that comes from no known set, or of one too many.
OTHER: Final = "other"

#: What a cell holds at most. Only a client that says whatever it likes gets there.
_MAX_COUNT: Final = 2**64 - 1
_BUCKETS_NS: Final = [round(bound * 1e9) for bound in LATENCY_SECONDS]


@final
class Metrics:
    """Counts on the page of this process."""

    __slots__ = (
        "_cells",
        "_counters",
        "_in_flight",
        "_latency",
        "_latency_ns",
        "_remembered",
        "_tokens",
        "_total",
        "_values",
    )

    def __init__(
        self, counters: Counters | None = None, total: Callable[[], Mapping[Name, int]] | None = None
    ) -> None:
        """Count on a page.

        Args:
            counters: The page; by default one that nobody else counts or reads.
            total: The sums of all pages, where there are several.
        """
        self._counters = counters or Counters()
        self._total = total or self._counters.read
        self._values = self._counters.values
        self._latency = [self._counters.cell(LATENCY, str(n)) for n in range(len(LATENCY_SECONDS) + 1)]
        self._latency_ns = self._counters.cell(LATENCY_NS)
        self._in_flight = self._counters.cell(IN_FLIGHT)
        self._remembered = self._counters.cell(REMEMBERED)
        self._tokens = {outcome: self._counters.cell(TOKENS, outcome) for outcome in TOKEN_OUTCOMES}
        # INVARIANT: what other threads count has its cell before they begin. Only one thread makes cells.
        for name in OTHERS_COUNT:
            self._counters.cell(*name)
        #: By service and reason, those of the process that counted here before among them.
        self._cells = {
            (name[1], name[2]): self._counters.cell(*name)
            for name in self._counters.read()
            if name[0] == DECISIONS
        }

    def decided(self, service: str, decision: Decision, took_ns: int) -> None:
        """Count a decision about a service that the policy set declares."""
        reason = decision.reason._value_
        cell = self._cells.get((service, reason))
        if cell is None:
            service = service if len(self._cells) < MAX_METRIC_LABELS else OTHER
            cell = self._cells[service, reason] = self._counters.cell(DECISIONS, service, reason)
        values = self._values
        values[cell] += 1
        values[self._latency[bisect_left(_BUCKETS_NS, took_ns)]] += 1
        values[self._latency_ns] += took_ns
        if decision.shadow is not None:
            self._count(SHADOWED, service)

    def question_refused(self, code: str) -> None:
        """Count a question without a decision; `code` is one of ours."""
        self._count(REFUSED, code)

    def question_shed(self, why: str) -> None:
        """Count a question that was turned away; `why` is one of ours."""
        self._count(SHED, why)

    def reused(self, times: int) -> None:
        """Count answers that a client says it has used again."""
        cell = self._counters.cell(REUSED)
        self._values[cell] = min(self._values[cell] + times, _MAX_COUNT)

    def remembered(self) -> None:
        """Count an answer that was given from what was remembered; it is counted as decided as well."""
        self._values[self._remembered] += 1

    def token_looked_at(self, outcome: str) -> None:
        """Count a token in a question, by one of `TOKEN_OUTCOMES`."""
        self._values[self._tokens[outcome]] += 1

    def reloaded(self, outcome: str) -> None:
        """Count a version that was offered: `accepted`, `rejected` or `unchanged`."""
        self._count(RELOADS, outcome)

    def settings_read(self, outcome: str) -> None:
        """Count settings that were read again: `accepted` or `rejected`."""
        self._count(SETTINGS, outcome)

    def reviewed(self, outcome: str) -> None:
        """Count a token that its cluster was asked about: `accepted`, `rejected` or `failed`."""
        self._count(REVIEWS, outcome)

    def renewed(self, what: str) -> None:
        """Count new content of one of `FILES` that is in force."""
        self._count(RENEWALS, what, "accepted")

    def renewal_refused(self, what: str, *, refused: bool) -> None:
        """Note whether what lies in one of `FILES` is refused, and count it if it is."""
        self._values[self._counters.cell(REFUSED_FILES, what)] = refused
        self._values[self._counters.cell(RENEWALS, what, "rejected")] += refused

    def admin_ends(self, what: str, at: Millis | None) -> None:
        """Note when the first of one of `ADMIN_HELD` ends; None where there is none of it."""
        self._values[self._counters.cell(ADMIN_ENDS, what)] = at or 0

    def answering(self, questions: int) -> None:
        """Note how many questions are being answered now."""
        self._values[self._in_flight] = questions

    def counts(self) -> Counts:
        """What all processes counted until now."""
        return Counts(self._total())

    def _count(self, *name: str) -> None:
        self._values[self._counters.cell(*name)] += 1
