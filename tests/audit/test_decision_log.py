"""The decision log: every decision is logged or counted, whatever becomes of the sink."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from msgspec.structs import replace

from pdp.audit import decision_log
from pdp.audit.decision_log import DecisionLog
from pdp.audit.log_mode import LogMode
from pdp.audit.record import Entry, Recorder
from pdp.audit.reuse import ReuseReport
from pdp.audit.sinks import StreamSink
from pdp.principals import spiffe_principal
from pdp.vocabulary import Decision, Effect, Reason, Request, ShadowOutcome
from tests.engine.asking import NOW, index_of

INDEX = index_of("service s { allow anyone to GET /x }")
WHO = spiffe_principal("spiffe://prod.example.org/a")
ALLOW = Decision(Effect.ALLOW, Reason.ALLOWED, True, (0,), None, None, (), None)
DENY = Decision(Effect.DENY, Reason.NO_RULE_MATCHED, True, (), None, None, (), None)


def entry(number: int = 0, decision: Decision = ALLOW, path: str = "/x") -> Entry:
    request = Request(principal=WHO, service="s", method="GET", path=path, now=NOW)
    return Entry(str(number), NOW, "spiffe://prod.example.org/pep", request, decision, INDEX, "r1")


class Kept:
    """A sink in memory, which can be full or slow."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.writes = 0
        self.full = False
        self.gate = threading.Event()
        self.gate.set()

    def write(self, lines: bytes) -> None:
        self.gate.wait(10)
        if self.full:
            raise OSError(28, "No space left on device")
        self.writes += 1
        self.lines += lines.splitlines()

    def close(self) -> None:
        """Nothing to close."""

    def ids(self) -> list[str]:
        return [msgspec.json.decode(line)["decision_id"] for line in self.lines]


@contextmanager
def log_to(
    sink: Kept, mode: LogMode, one_in: int = 1, alarms: list[str] | None = None
) -> Iterator[DecisionLog]:
    found = [] if alarms is None else alarms
    log = DecisionLog(sink, Recorder(b"k"), mode=mode, one_in=one_in, alarm=found.append)
    try:
        yield log
    finally:
        sink.gate.set()
        log.close()


def adds_up(log: DecisionLog) -> bool:
    counts = log.counts
    return counts.decided == counts.logged + counts.dropped + counts.sampled_out + log.waiting


def until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def busy() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("busy")
def test_the_writer_goes_on_whatever_happens_between_two_of_its_steps() -> None:
    sink, end = Kept(), time.monotonic() + 2
    with log_to(sink, LogMode.DROP) as log:
        while time.monotonic() < end:
            log.record(entry())
        assert log._writer.is_alive()

    assert adds_up(log)
    assert log.waiting == 0


def test_a_defect_of_a_sink_is_told_and_does_not_end_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    sink, alarms, write = Kept(), [], Kept.write
    monkeypatch.setattr(sink, "write", lambda _: [].pop())
    with log_to(sink, LogMode.DROP, alarms=alarms) as log:
        log.record(entry(1))
        until(lambda: log.counts.dropped == 1)
        monkeypatch.setattr(sink, "write", lambda lines: write(sink, lines))
        log.record(entry(2))
        until(lambda: log.counts.logged == 1)

    assert sink.ids() == ["2"]
    assert alarms == [
        "the decision log cannot be written: pop from empty list", "the decision log is written again"
    ]  # fmt: skip


@pytest.mark.parametrize("mode", LogMode)
def test_every_decision_is_logged_in_order(mode: LogMode) -> None:
    sink = Kept()
    with log_to(sink, mode) as log:
        for number in range(2000):
            log.record(entry(number))

    assert sink.ids() == [str(number) for number in range(2000)]
    assert (log.counts.decided, log.counts.logged, log.counts.dropped) == (2000, 2000, 0)


def test_what_comes_within_a_moment_is_written_together() -> None:
    sink = Kept()
    with log_to(sink, LogMode.DROP) as log:
        for number in range(100):
            log.record(entry(number))
            time.sleep(0.001)

    assert len(sink.lines) == 100
    assert sink.writes <= 30


def test_an_entry_after_a_pause_is_written_without_another() -> None:
    sink = Kept()
    with log_to(sink, LogMode.DROP) as log:
        for number in range(3):
            log.record(entry(number))
            until(lambda: len(sink.lines) == number + 1)  # noqa: B023 - asked within the turn


@pytest.mark.parametrize("mode", LogMode)
def test_what_does_not_fit_is_counted(mode: LogMode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_log, "MAX_LOG_QUEUE", 10)
    sink = Kept()
    sink.gate.clear()
    with log_to(sink, mode) as log:
        for number in range(50):
            log.record(entry(number))
        assert log.waiting <= 10
        assert not log.has_room()
        assert log.counts.refused >= 40
        assert adds_up(log)

    assert log.counts.decided == 50 == log.counts.logged + log.counts.dropped
    assert len(sink.lines) == log.counts.logged


def test_a_full_disk_drops_and_counts_and_is_told_once() -> None:
    sink, alarms = Kept(), []
    sink.full = True
    with log_to(sink, LogMode.DROP, alarms=alarms) as log:
        log.record(entry(1))
        until(lambda: log.counts.failed == 1)
        log.record(entry(2))
        until(lambda: log.counts.failed == 2)
        sink.full = False
        log.record(entry(3))
        until(lambda: log.counts.logged == 1)

    assert sink.ids() == ["3"]
    assert alarms == [
        "the decision log cannot be written: No space left on device",
        "the decision log is written again",
    ]


def test_where_no_line_may_be_lost_a_full_disk_is_waited_for() -> None:
    sink = Kept()
    sink.full = True
    with log_to(sink, LogMode.BLOCK) as log:
        for number in range(3):
            log.record(entry(number))
        time.sleep(0.05)
        assert log.waiting == 3
        sink.full = False
        until(lambda: log.counts.logged == 3)

    assert sink.ids() == ["0", "1", "2"]
    assert log.counts.dropped == 0


def test_at_the_end_a_full_disk_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_log, "LOG_STOP_SECONDS", 0.3)
    sink = Kept()
    sink.full = True
    began = time.monotonic()
    with log_to(sink, LogMode.BLOCK) as log:
        log.record(entry())

    assert time.monotonic() - began < 5
    assert (log.counts.decided, log.counts.dropped, log.waiting) == (1, 1, 0)


def test_a_sample_keeps_every_deny() -> None:
    sink = Kept()
    with log_to(sink, LogMode.SAMPLE, one_in=10) as log:
        for number in range(100):
            log.record(entry(number))
            log.record(entry(1000 + number, DENY))

    kept = sink.ids()
    assert sum(int(number) >= 1000 for number in kept) == 100
    assert sum(int(number) < 1000 for number in kept) == 10
    assert log.counts.sampled_out == 90
    assert adds_up(log)


def test_a_sample_keeps_what_would_have_been_denied() -> None:
    observed = replace(ALLOW, reason=Reason.OBSERVED, enforced=False)
    shadowed = replace(ALLOW, shadow=ShadowOutcome(Effect.DENY, Reason.DENIED_BY_RULE, ()))
    sink = Kept()
    with log_to(sink, LogMode.SAMPLE, one_in=1000) as log:
        for number, decision in enumerate((ALLOW, observed, shadowed)):
            log.record(entry(number, decision))

    assert sink.ids() == ["1", "2"]


def test_what_is_still_queued_at_the_end_goes_on_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_log, "LOG_STOP_SECONDS", 0.1)
    sink = Kept()
    sink.gate.clear()
    log = DecisionLog(sink, Recorder(b"k"), mode=LogMode.DROP)
    log.record(entry())
    log.close()

    assert (log.waiting, log.counts.dropped, adds_up(log)) == (1, 0, True)
    sink.gate.set()
    until(lambda: log.waiting == 0)
    assert (log.counts.logged, adds_up(log)) == (1, True)


def test_an_entry_that_cannot_be_written_down_spoils_no_other() -> None:
    sink, alarms = Kept(), []
    with log_to(sink, LogMode.DROP, alarms=alarms) as log:
        log.record(entry(1))
        log.record(entry(2, path="/\ud800"))
        log.record(entry(3))

    assert sink.ids() == ["1", "3"]
    assert (log.counts.logged, log.counts.dropped) == (2, 1)
    assert alarms == ["a decision could not be written down: this is a defect of pdp"]


def test_a_report_that_cannot_be_written_down_is_no_lost_decision() -> None:
    sink, alarms = Kept(), []
    with log_to(sink, LogMode.DROP, alarms=alarms) as log:
        log.record(entry(1))
        log.report(ReuseReport("\ud800", NOW, ()))
        log.record(entry(2))

    assert sink.ids() == ["1", "2"]
    assert (log.counts.logged, log.counts.dropped) == (2, 0)
    assert (log.counts.reports_logged, log.counts.reports_dropped) == (0, 1)


def test_a_slow_reader_of_a_pipe_delays_nobody() -> None:
    reading, writing = os.pipe()
    log = DecisionLog(StreamSink(writing), Recorder(b"k"), mode=LogMode.DROP)
    began = time.monotonic()
    for number in range(5000):  # more than a pipe holds
        log.record(entry(number))
    took = time.monotonic() - began

    assert took < 1
    assert adds_up(log) or log.waiting
    lines = 0
    while lines < 5000 - log.counts.dropped:
        lines += os.read(reading, 1 << 20).count(b"\n")
    log.close()
    os.close(reading)
    os.close(writing)
    assert log.counts.logged == lines == 5000
