"""The decision log: entries are queued where decisions are made, and written by a thread.

That thread takes turns with the event loop, so what it does delays answers. It sleeps until an entry comes,
lingers for others, and writes them together: to be woken for each would cost more than the answer.

`decided = logged + dropped + sampled out + waiting`, and all are counted (`pdp.audit.counts`). What
happens when the queue is full is the operator's choice (`LogMode`); none of the choices turns a full
disk or a dead reader into an allow, into a crash or into a queue without end.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import final

from pdp.audit.counts import (
    DECIDED,
    FAILED,
    LOGGED,
    REFUSED,
    REPORTS_FAILED,
    REPORTS_LOGGED,
    REPORTS_REFUSED,
    SAMPLED_OUT,
    LogCounts,
)
from pdp.audit.log_mode import LogMode
from pdp.audit.record import Entry, Recorder
from pdp.audit.reuse import ReuseReport
from pdp.audit.sinks import Sink
from pdp.counters import Counters
from pdp.limits import (
    LOG_LINGER_SECONDS,
    LOG_RETRY_SECONDS,
    LOG_STOP_SECONDS,
    MAX_LOG_BATCH,
    MAX_LOG_QUEUE,
    MAX_LOG_REPORTS,
)
from pdp.vocabulary import Decision, Effect

__all__ = ["DecisionLog"]


def _is_plain_allow(decision: Decision) -> bool:
    """Whether nothing was denied, and nothing would have been."""
    return decision.effect is Effect.ALLOW and decision.enforced and decision.shadow is None


@final
class DecisionLog:
    """Queues entries for a writer of its own.

    `record` and `has_room` are for one thread, that of the event loop.
    """

    def __init__(
        self,
        sink: Sink,
        recorder: Recorder,
        *,
        mode: LogMode,
        one_in: int = 1,
        alarm: Callable[[str], None] = lambda _: None,
        counters: Counters | None = None,
    ) -> None:
        """Start the writer.

        Args:
            sink: Where lines go.
            recorder: Makes them.
            mode: What a full queue means.
            one_in: In mode `SAMPLE`, one allow in so many is logged.
            alarm: Told once when lines cannot be written, and once when they can again.
            counters: Where it is counted what becomes of entries; by default nobody else reads it.
        """
        self._counters = counters or Counters()
        self._values = self._counters.values
        self._decided = self._counters.cell(*DECIDED)
        self._refused = self._counters.cell(*REFUSED)
        self._sampled_out = self._counters.cell(*SAMPLED_OUT)
        self._logged = self._counters.cell(*LOGGED)
        self._failed = self._counters.cell(*FAILED)
        self._reports_logged = self._counters.cell(*REPORTS_LOGGED)
        self._reports_failed = self._counters.cell(*REPORTS_FAILED)
        self._reports_refused = self._counters.cell(*REPORTS_REFUSED)
        self._reports_in = self._reports_out = 0  # the first of the event loop, the second of the writer
        self._sink = sink
        self._recorder = recorder
        self._mode = mode
        self._one_in = one_in
        self._alarm = alarm
        self._allows = 0
        self._queue: deque[Entry | ReuseReport] = deque()
        self._wake = threading.Event()
        self._sleeps = False  # whether the writer has to be woken
        self._deadline: float | None = None  # once it is ending, until when lines are tried
        self._trouble = ""
        self._writer = threading.Thread(target=self._write, name="decision-log", daemon=True)
        self._writer.start()

    def change(self, *, mode: LogMode, one_in: int, plain: frozenset[str]) -> None:
        """Go on in another way; lines that are not written yet are made in the new one as well."""
        self._recorder = self._recorder.showing(plain)
        self._mode, self._one_in = mode, one_in

    @property
    def blocks(self) -> bool:
        """Whether a question has to wait for room."""
        return self._mode is LogMode.BLOCK

    @property
    def counts(self) -> LogCounts:
        """What became of the entries of this process."""
        return LogCounts.of(self._counters.read())

    @property
    def waiting(self) -> int:
        """How many entries are queued."""
        return len(self._queue)

    def has_room(self, entries: int = 1) -> bool:
        """Whether so many entries fit now."""
        return len(self._queue) + entries <= MAX_LOG_QUEUE

    def record(self, entry: Entry) -> None:
        """Queue an entry, or count it as dropped. Never waits and never raises."""
        values = self._values
        values[self._decided] += 1
        if self._mode is LogMode.SAMPLE and _is_plain_allow(entry.decision):
            self._allows += 1
            if self._allows % self._one_in:
                values[self._sampled_out] += 1
                return
        if len(self._queue) >= MAX_LOG_QUEUE:
            values[self._refused] += 1
            return
        self._put(entry)

    def report(self, report: ReuseReport) -> None:
        """Queue a report of reuse, or count it as dropped, in every mode. Never waits and never raises."""
        waiting = self._reports_in - self._reports_out
        if waiting >= MAX_LOG_REPORTS or len(self._queue) >= MAX_LOG_QUEUE:
            self._values[self._reports_refused] += 1
            return
        self._reports_in += 1
        self._put(report)

    def _put(self, entry: Entry | ReuseReport) -> None:
        self._queue.append(entry)
        if self._sleeps:
            self._sleeps = False
            self._wake.set()

    def close(self) -> None:
        """Write what is queued, as long as that may take, and end; what is left then goes on waiting."""
        self._deadline = time.monotonic() + LOG_STOP_SECONDS
        self._wake.set()
        self._writer.join(LOG_STOP_SECONDS + 2 * LOG_RETRY_SECONDS)

    # -- the writer's thread ---------------------------------------------------------------

    def _write(self) -> None:
        while True:
            self._sleep()
            while waiting := len(self._queue):
                if waiting < MAX_LOG_BATCH and self._deadline is None:
                    time.sleep(LOG_LINGER_SECONDS)
                    waiting = len(self._queue)
                # By their places: an iterator fails once entries are queued behind it.
                batch = [self._queue[place] for place in range(min(waiting, MAX_LOG_BATCH))]
                if not self._write_batch(batch):
                    time.sleep(LOG_RETRY_SECONDS)
                    continue
                for _ in batch:
                    self._queue.popleft()
            if self._deadline is not None:
                self._sink.close()
                return

    def _sleep(self) -> None:
        """Wait until there is an entry, or the end."""
        # INVARIANT: it says that it sleeps, and then looks whether there is an entry; who has an entry queues
        # it, and then looks whether it sleeps. So one of the two sees the other.
        self._sleeps = True
        if not self._queue and self._deadline is None:
            self._wake.wait()
        self._wake.clear()
        self._sleeps = False

    def _write_batch(self, entries: list[Entry | ReuseReport]) -> bool:
        """Write the lines, and count what became of them; False if they are to be tried again."""
        lines, unfit = self._lines(entries)
        try:
            self._sink.write(lines)
        except Exception as error:  # noqa: BLE001 - a writer that ends leaves decisions without a line for ever
            reason = error.strerror if isinstance(error, OSError) else None
            self._tell(f"the decision log cannot be written: {reason or error}")
            if self._tries_again():
                return False
            unfit = entries
        else:
            self._tell("")
        failed, reports_failed = self._told_apart(unfit)
        decisions, reports = self._told_apart(entries)
        values = self._values
        values[self._logged] += decisions - failed
        values[self._failed] += failed
        values[self._reports_logged] += reports - reports_failed
        values[self._reports_failed] += reports_failed
        self._reports_out += reports
        return True

    def _told_apart(self, entries: list[Entry | ReuseReport]) -> tuple[int, int]:
        """How many decisions there are, and how many reports."""
        if self._reports_in == self._reports_out:  # counted before they are queued: so none is here
            return len(entries), 0
        reports = sum(isinstance(entry, ReuseReport) for entry in entries)
        return len(entries) - reports, reports

    def _tries_again(self) -> bool:
        """Whether lines that cannot be written now are kept rather than dropped."""
        return self.blocks and (self._deadline is None or time.monotonic() < self._deadline)

    def _lines(self, entries: list[Entry | ReuseReport]) -> tuple[bytes, list[Entry | ReuseReport]]:
        """The lines, and the entries that have none."""
        try:
            return self._recorder.lines(entries), []
        except Exception:  # noqa: BLE001 - whatever it was, the other lines are written
            if len(entries) > 1:
                found = [self._lines([entry]) for entry in entries]
                return b"".join([line for line, _ in found]), [each for _, unfit in found for each in unfit]
        self._alarm("a decision could not be written down: this is a defect of pdp")
        return b"", entries

    def _tell(self, trouble: str) -> None:
        """Raise the alarm once, and once more when the trouble is over."""
        if trouble and not self._trouble:
            self._alarm(trouble)
        if self._trouble and not trouble:
            self._alarm("the decision log is written again")
        self._trouble = trouble
