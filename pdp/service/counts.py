"""What was counted, by all processes of the service together, for whoever shows it."""

from collections.abc import Mapping
from typing import Final, final

from pdp.audit.counts import LogCounts
from pdp.counters import Name
from pdp.vocabulary import Reason

__all__ = [
    "ADMIN_ENDS", "ADMIN_HELD", "DECISIONS", "FILES", "IN_FLIGHT", "LATENCY", "LATENCY_NS", "LATENCY_SECONDS",
    "OTHERS_COUNT", "REFUSED", "REFUSED_FILES", "RELOADS", "REMEMBERED", "RENEWALS", "REUSED", "REVIEWS",
    "SETTINGS", "SHADOWED", "SHED", "TOKENS", "TOKEN_OUTCOMES", "Counts",
]  # fmt: skip

#: Upper bounds of the latency histogram's buckets.
LATENCY_SECONDS: Final = (
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 1.0,
)  # fmt: skip

#: What is renewed while the service runs: from files, and by sources that are asked.
FILES: Final = ("trust", "certificate", "keys", "quarantine", "workload-api", "federation", "admin_trust")

#: What those who administer are verified by, as metrics call it.
ADMIN_HELD: Final = ("root of those who administer", "crl of those who administer")

# The first part of the names of cells; the others are labels.
DECISIONS: Final = "decisions"
SHADOWED: Final = "shadowed"
REFUSED: Final = "refused"
SHED: Final = "shed"
RELOADS: Final = "reloads"
RENEWALS: Final = "renewals"
REUSED: Final = "reused"
REMEMBERED: Final = "remembered"
REVIEWS: Final = "reviews"
SETTINGS: Final = "settings"
REFUSED_FILES: Final = "refused_files"
ADMIN_ENDS: Final = "admin_ends"
LATENCY: Final = "latency"
LATENCY_NS: Final = "latency_ns"
IN_FLIGHT: Final = "in_flight"
TOKENS: Final = "tokens"

#: What becomes of a token in a question (`pdp.service.known_tokens`).
TOKEN_OUTCOMES: Final = ("cached", "verified", "refused")

_VERSIONS: Final = ("accepted", "rejected", "unchanged")
_TAKEN: Final = ("accepted", "rejected")
_REVIEWS: Final = ("accepted", "rejected", "failed")

#: What is counted by other threads than that of the event loop, by name.
OTHERS_COUNT: Final[tuple[Name, ...]] = (
    *((RELOADS, outcome) for outcome in _VERSIONS),
    *((SETTINGS, outcome) for outcome in _TAKEN),
    *((RENEWALS, files, outcome) for files in FILES for outcome in _TAKEN),
    *((REFUSED_FILES, files) for files in FILES),
    *((ADMIN_ENDS, what) for what in ADMIN_HELD),
)

_OBSERVED: Final = Reason.OBSERVED.value


@final
class Counts:
    """Counts since the start."""

    def __init__(self, cells: Mapping[Name, int]) -> None:
        """Tell them from the sums of all pages (`pdp.counters`)."""
        self._cells = cells

    @property
    def decisions(self) -> dict[tuple[str, str], int]:
        """Decisions by service and reason; the reason implies the decision."""
        return {(name[1], name[2]): count for name, count in self._cells.items() if name[0] == DECISIONS}

    @property
    def observed(self) -> dict[str, int]:
        """By service, requests that an observed service let pass although no rule allows them."""
        return {service: count for (service, reason), count in self.decisions.items() if reason == _OBSERVED}

    @property
    def shadowed(self) -> dict[str, int]:
        """By service, decisions that shadow rules would have changed."""
        return self._labelled(SHADOWED)

    @property
    def refused(self) -> dict[str, int]:
        """Questions that were not decided, by the error's code."""
        return self._labelled(REFUSED)

    @property
    def shed(self) -> dict[str, int]:
        """Questions that were turned away because there were too many, by why."""
        return self._labelled(SHED)

    @property
    def tokens(self) -> dict[str, int]:
        """Tokens in questions, by what became of each."""
        return dict.fromkeys(TOKEN_OUTCOMES, 0) | self._labelled(TOKENS)

    @property
    def reused(self) -> int:
        """How often clients say that they have used answers again."""
        return self._cells.get((REUSED,), 0)

    @property
    def remembered(self) -> int:
        """Answers that were given from what was remembered of the same question."""
        return self._cells.get((REMEMBERED,), 0)

    @property
    def reloads(self) -> dict[str, int]:
        """Versions that were offered, by what became of them."""
        return dict.fromkeys(_VERSIONS, 0) | self._labelled(RELOADS)

    @property
    def settings(self) -> dict[str, int]:
        """Settings that were read again, by what became of them."""
        return dict.fromkeys(_TAKEN, 0) | self._labelled(SETTINGS)

    @property
    def reviews(self) -> dict[str, int]:
        """Tokens that clusters were asked about, by what became of it."""
        return dict.fromkeys(_REVIEWS, 0) | self._labelled(REVIEWS)

    @property
    def renewals(self) -> dict[tuple[str, str], int]:
        """New content of one of `FILES`, by what became of it."""
        found = {(what, outcome): 0 for what in FILES for outcome in _TAKEN}
        counted = {(name[1], name[2]): count for name, count in self._cells.items() if name[0] == RENEWALS}
        return found | counted

    @property
    def refused_files(self) -> dict[str, bool]:
        """Whether what lies in each of `FILES` now is not in force, somewhere."""
        return dict.fromkeys(FILES, False) | {
            what: bool(count) for what, count in self._labelled(REFUSED_FILES).items()
        }

    @property
    def admin_ends(self) -> dict[str, int]:
        """When the first of each of `ADMIN_HELD` ends, in milliseconds, where there is one."""
        return {what: at for what, at in self._labelled(ADMIN_ENDS).items() if at}

    @property
    def latency(self) -> list[int]:
        """Decisions by the bucket of `LATENCY_SECONDS` that they fall into; the last is beyond all."""
        found = self._labelled(LATENCY)
        return [found.get(str(bucket), 0) for bucket in range(len(LATENCY_SECONDS) + 1)]

    @property
    def latency_ns(self) -> int:
        """The sum of what they took."""
        return self._cells.get((LATENCY_NS,), 0)

    @property
    def in_flight(self) -> int:
        """Questions being answered."""
        return self._cells.get((IN_FLIGHT,), 0)

    @property
    def log(self) -> LogCounts:
        """What the decision log was given, and what became of it."""
        return LogCounts.of(self._cells)

    def _labelled(self, name: str) -> dict[str, int]:
        return {key[1]: count for key, count in self._cells.items() if key[0] == name}
