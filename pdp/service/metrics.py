"""What the service counts of itself, in plain integers.

Counting is a dictionary look-up and an addition; names, labels and text come in when somebody asks
(`pdp.adapters.metrics_page`). One thread counts, that of the event loop; others may read.
"""

from bisect import bisect_left
from typing import Final, final

from pdp.limits import MAX_METRIC_LABELS
from pdp.vocabulary import Decision, Reason

__all__ = ["FILES", "LATENCY_SECONDS", "OTHER", "Metrics"]

#: Upper bounds of the latency histogram's buckets.
LATENCY_SECONDS: Final = (
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 1.0,
)  # fmt: skip
#: Files that are renewed while the service runs.
FILES: Final = ("trust", "certificate")
#: In place of a label that comes from no known set, or of one too many.
OTHER: Final = "other"

_BUCKETS_NS: Final = [round(bound * 1e9) for bound in LATENCY_SECONDS]
_OBSERVED: Final = Reason.OBSERVED


@final
class Metrics:
    """Counts since the start.

    Attributes:
        decisions: By service and reason; the reason implies the decision.
        shadowed: By service, decisions that shadow rules would have changed.
        refused: Questions that were not decided, by the error's code.
        shed: Questions that were turned away because there were too many, by why.
        reloads: Versions that were offered, by what became of them.
        renewals: New content of the files of `trust` or `certificate`, by what became of it.
        refused_files: Whether what lies in those files now is not in force.
        latency: Decisions by the bucket of `LATENCY_SECONDS` that they fall into; the last is beyond all.
        latency_ns: The sum of what they took.
    """

    __slots__ = (
        "decisions", "latency", "latency_ns", "refused", "refused_files", "reloads", "renewals", "shadowed",
        "shed",
    )  # fmt: skip

    def __init__(self) -> None:
        self.decisions: dict[tuple[str, str], int] = {}
        self.shadowed: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self.shed: dict[str, int] = {}
        self.reloads = {"accepted": 0, "rejected": 0, "unchanged": 0}
        self.renewals = {(what, outcome): 0 for what in FILES for outcome in ("accepted", "rejected")}
        self.refused_files = dict.fromkeys(FILES, False)
        self.latency = [0] * (len(LATENCY_SECONDS) + 1)
        self.latency_ns = 0

    def decided(self, service: str, decision: Decision, took_ns: int) -> None:
        """Count a decision about a service that the policy set declares."""
        key = (service, decision.reason._value_)
        found = self.decisions.get(key)
        if found is None:
            key = self._bounded(key)
            found = self.decisions.get(key, 0)
        self.decisions[key] = found + 1
        self.latency[bisect_left(_BUCKETS_NS, took_ns)] += 1
        self.latency_ns += took_ns
        if decision.shadow is not None:
            _count(self.shadowed, key[0])

    def question_refused(self, code: str) -> None:
        """Count a question without a decision; `code` is one of ours."""
        _count(self.refused, code)

    def question_shed(self, why: str) -> None:
        """Count a question that was turned away; `why` is one of ours."""
        _count(self.shed, why)

    def reloaded(self, outcome: str) -> None:
        """Count a version that was offered: `accepted`, `rejected` or `unchanged`."""
        self.reloads[outcome] += 1

    def renewed(self, what: str) -> None:
        """Count new content of one of `FILES` that is in force."""
        self.renewals[what, "accepted"] += 1

    def renewal_refused(self, what: str, *, refused: bool) -> None:
        """Note whether what lies in one of `FILES` is refused, and count it if it is."""
        self.refused_files[what] = refused
        self.renewals[what, "rejected"] += refused

    def observed(self) -> dict[str, int]:
        """By service, requests that an observed service let pass although no rule allows them."""
        return {
            service: count for (service, reason), count in self.decisions.items() if reason == _OBSERVED.value
        }

    def _bounded(self, key: tuple[str, str]) -> tuple[str, str]:
        """The key, or one for all further services once there are too many."""
        return key if len(self.decisions) < MAX_METRIC_LABELS else (OTHER, key[1])


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
