"""One report of reuse as a line of the log: whose word it is, and which answers were used again how often."""

from typing import final

import msgspec

from pdp.audit.instants import instant
from pdp.vocabulary import Millis

__all__ = ["ReuseRecord", "ReuseReport", "ReusedRecord", "reuse_record"]


@final
class ReuseReport(msgspec.Struct, frozen=True, gc=False):
    """What a line is made from, later and elsewhere.

    Attributes:
        caller: Id of whoever reported.
        now: When.
        reused: Names of answers, each with how often it was used again.
    """

    caller: str
    now: Millis
    reused: tuple[tuple[str, int], ...]


class ReusedRecord(msgspec.Struct, frozen=True):
    """One answer that was used again."""

    decision_id: str
    times: int


class ReuseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log; `docs/operations.md` says what each field means."""

    time: str
    caller: str
    reused: tuple[ReusedRecord, ...]


def reuse_record(report: ReuseReport) -> ReuseRecord:
    """The report in the form of a record."""
    return ReuseRecord(
        time=instant(report.now),
        caller=report.caller,
        reused=tuple(ReusedRecord(decision_id, times) for decision_id, times in report.reused),
    )
