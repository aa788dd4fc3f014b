"""One fault tried on a stage under load: what is done, what is waited for, what has to hold at its end."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.e2e.running import until
from tests.faults.load import Load
from tests.faults.stage import PATIENCE, Stage
from tests.faults.verdict import Row, judge

__all__ = ["Done", "Effort", "Fault", "Trial", "try_fault"]

_CALM_SECONDS = 0.7
_RECOVERY_SECONDS = 30.0


@dataclass(frozen=True)
class Effort:
    """How long a run is.

    Attributes:
        steady: Seconds of load before a fault, and while one lasts.
        reloads: How often versions alternate.
        floods: How many clients of each bad kind come at once.
    """

    steady: float
    reloads: int
    floods: int


@dataclass
class Done:
    """What a fault did.

    Attributes:
        hurt: When it happened, or what ends it: recovery is counted from here.
        notes: What it measured.
        apart: A caller that is refused on purpose.
        codes: Error statuses that belong to it.
        lost: How many questions may be lost, at most.
        stopped: How many of its gRPC servers stopped: each may cancel a call of each connection.
        kills: Whether a process was killed: it may have written lines that it had not counted.
        ended: When the service ended; None if it goes on.
        anew: Whether it was begun anew: for a while nobody listened, and counts begin at nothing.
    """

    hurt: float
    notes: str = ""
    apart: str = ""
    codes: frozenset[str] = frozenset()
    lost: int = 0
    stopped: int = 0
    kills: bool = False
    ended: float | None = None
    anew: bool = False


@dataclass
class Trial:
    """What a fault is given."""

    stage: Stage
    load: Load
    effort: Effort

    def asked(self) -> int:
        return len(self.load.answered)

    def steady(self, seconds: float | None = None) -> None:
        """Let the load go on for a while."""
        time.sleep(self.effort.steady if seconds is None else seconds)


@dataclass(frozen=True)
class Fault:
    """A fault: its name in the table, and how it is done."""

    name: str
    do: Callable[[Trial], Done] = field(repr=False)


def try_fault(fault: Fault, stage: Stage, effort: Effort, load: Load) -> Row:
    """Do a fault under load, wait until all is well, and say what was seen; wrong ends are assertions."""
    began, mark = time.monotonic(), stage.service.mark()
    with load:
        until(lambda: len(load.answered) > 20, PATIENCE)
        time.sleep(effort.steady)
        done = fault.do(Trial(stage, load, effort))
        if done.ended is None:
            _wait_calm(load, done)
    row = judge(fault.name, load, stage.order, began, done.hurt, apart=done.apart, until=done.ended)
    row.notes = done.notes
    if late := stage.late(mark):
        row.notes += f"; {late} workers came too late to a change and were replaced"
        done.lost, done.kills = done.lost + 20 * late, True
    assert row.wrong == [], row.wrong[:5]
    assert set(row.failed) <= done.codes, row
    assert row.lost <= done.lost, (row, [each for each in load.missed if each.lost][:5])
    assert row.cancelled <= done.stopped * load.only_once, row
    assert row.refused == 0 or done.ended is not None or done.anew, (row, load.missed[:5])
    if done.ended is None and not done.anew:
        _balance(stage, load, kills=done.kills)
    return row


def _wait_calm(load: Load, done: Done) -> None:
    """Until nothing has gone wrong for a while, and everybody is answered."""
    began = time.monotonic()

    def calm() -> bool:
        now = time.monotonic()
        bad = [each.heard for each in (*tuple(load.failed), *tuple(load.missed)) if each.caller != done.apart]
        lately = {each.caller for each in tuple(load.answered)[-500:] if each.asked > now - _CALM_SECONDS}
        everybody = {each.caller for each in tuple(load.answered)[:500]} - {done.apart}
        return now - max([began, *bad]) > _CALM_SECONDS and everybody <= lately

    until(calm, _RECOVERY_SECONDS)


def _balance(stage: Stage, load: Load, *, kills: bool) -> None:
    """What was decided is in the log or was counted as dropped, and every line is whole."""
    decided, logged, dropped = stage.settled()
    assert decided == logged + dropped
    if stage.log is None:
        until(lambda: len(stage.lines()) == logged)
        return
    lines = stage.lines()
    ids = {line["decision_id"] for line in lines}
    told = {each for answered in load.answered for each in answered.ids}
    assert len(ids) == len(lines)
    assert len(told - ids) <= dropped
    uncounted = len(lines) - logged - stage.uncounted
    assert uncounted == 0 or (kills and uncounted > 0), (len(lines), logged, stage.uncounted)
    stage.uncounted += uncounted
