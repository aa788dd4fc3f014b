"""Faults under the decision log: a full disk, a reader that does not read."""

import os
import resource
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from tests.e2e.running import Service, question, send, until
from tests.faults.published import policy
from tests.faults.stage import Stage
from tests.faults.trial import Done, Fault, Trial

__all__ = ["BLOCKING", "DROPPING", "UNREAD", "SlowlyRead"]

_BATCH = {"questions": [question(path="/v1/nothing")] * 256}
_FILLING_SECONDS = 60.0


class SlowlyRead(Service):
    """A service whose output, of both kinds, is read only while `reading` is set."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self.reading = threading.Event()
        self.reading.set()
        told, self._telling = os.pipe()
        self._told = os.fdopen(told)
        super().__init__(*arguments, errors=self._telling, **more)

    def _read(self) -> None:
        os.close(self._telling)  # the service has it by now
        assert self.process.stdout is not None
        telling = threading.Thread(target=self._read_from, args=(self._told,), daemon=True)
        telling.start()
        self._read_from(self.process.stdout)
        telling.join()
        self._told.close()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _read_from(self, pipe: IO[str]) -> None:
        for line in pipe:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
            self.reading.wait()


def fill(stage: Stage) -> Callable[[], None]:
    """Leave no room where the log lies; what is returned makes room again."""
    assert stage.log is not None
    if stage.log.parent.is_mount():
        filler = stage.log.with_name("filler")
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        return filler.unlink
    # Not ours to mount: no file of these processes may grow beyond what the log has now.
    workers, unlimited = stage.workers, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    most = stage.log.stat().st_size + 100
    for pid in workers:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def lift() -> None:
        for pid in workers:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)

    return lift


def fill_the_disk(trial: Trial) -> Done:
    """Decisions go on, and what has no line is counted."""
    stage = trial.stage
    hurt = time.monotonic()
    free = fill(stage)
    until(lambda: _dropped(stage) > 0)
    trial.steady()
    free()
    logged = _logged(stage)
    until(lambda: _logged(stage) > logged)
    return Done(hurt, f"{_dropped(stage):.0f} decisions without a line, all counted")


def fill_the_disk_where_no_line_may_be_lost(trial: Trial) -> Done:
    """Once its queue is full a worker gives no answers, until there is room again."""
    stage = trial.stage
    free = fill(stage)
    filled = time.monotonic()
    _batches(stage, lambda: bool(trial.load.failed))
    refused = time.monotonic() - filled
    trial.steady()
    hurt = time.monotonic()
    free()
    until(lambda: stage.metrics()["pdp_log_queue"] == 0, 60)
    assert _dropped(stage) == 0
    notes = f"refused after {refused:.1f} s, once a queue was full; recovery is from when there is room"
    return Done(hurt, notes, codes=frozenset({"log_full"}))


def leave_the_log_unread(trial: Trial) -> Done:
    """The log goes to a pipe: decisions go on, versions are published, and all is told once it is read."""
    stage = trial.stage
    assert isinstance(stage.service, SlowlyRead)
    served = stage.order[-1]
    stage.service.reading.clear()
    try:
        _batches(stage, lambda: _dropped(stage) > 0)
        hurt = time.monotonic()
        stage.write(policy(1))
        until(lambda: trial.load.answered[-1].revision != served)
        live = time.monotonic() - hurt
        for number in range(2, 10):
            seen = trial.load.answered[-1].revision
            stage.write(policy(number % 4))
            until(lambda seen=seen: trial.load.answered[-1].revision != seen)
        trial.steady()
    finally:
        stage.service.reading.set()
    until(lambda: trial.load.answered[-1].revision == stage.order[-1])
    notes = f"an edit is live after {live:.2f} s; {_dropped(stage):.0f} decisions without a line, all counted"
    return Done(hurt, notes)


def _batches(stage: Stage, enough: Callable[[], bool]) -> None:
    """Ask one worker many questions at once, so that its queue fills, until that is enough."""
    ended = threading.Event()

    def ask() -> None:
        connection = stage.service.connect()
        with suppress(OSError):
            while not ended.is_set():
                send(connection, _BATCH, path="/v1/decide/batch")
        connection.close()

    asker = threading.Thread(target=ask, daemon=True)
    asker.start()
    try:
        until(enough, _FILLING_SECONDS)
    finally:
        ended.set()
        asker.join(_FILLING_SECONDS)


def _dropped(stage: Stage) -> float:
    return stage.metrics()['pdp_log_entries_total{outcome="dropped"}']


def _logged(stage: Stage) -> float:
    return stage.metrics()['pdp_log_entries_total{outcome="logged"}']


DROPPING = Fault("the disk under the decision log is full (`drop`)", fill_the_disk)
BLOCKING = Fault("the disk under the decision log is full (`block`)", fill_the_disk_where_no_line_may_be_lost)
UNREAD = Fault("nobody reads the pipe of the decision log", leave_the_log_unread)
