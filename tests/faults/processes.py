"""Faults of processes: killed, stopped, restarted, told to end."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.e2e.grpc_calls import grpc_port
from tests.e2e.inspecting import alive, files_of
from tests.e2e.running import until
from tests.faults.stage import GRACE_SECONDS, PATIENCE, WORKERS, Stage
from tests.faults.trial import Done, Fault, Trial

__all__ = ["ENDING", "LIVING"]

_ESTABLISHED = "01"


def connections_of(pid: int, port: int) -> int:
    """How many connections a process has accepted on a port."""
    ours = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _ESTABLISHED and int(fields[1].partition(":")[2], 16) == port:
            ours.add(f"socket:[{fields[9]}]")
    with suppress(OSError):
        return sum(file in ours for file in files_of(pid))
    return 0


def wait_replaced(stage: Stage, before: set[int], *gone: int) -> None:
    """Wait until the workers that are gone have successors, and these take connections."""
    until(lambda: len(stage.workers) == len(before) and not set(gone) & set(stage.workers), PATIENCE)
    fresh = set(stage.workers) - before

    def all_take() -> bool:
        with stage.service.tls(), stage.service.tls():
            time.sleep(0.02)
            return all(connections_of(pid, stage.service.port) for pid in fresh)

    until(all_take, PATIENCE)


def kill_a_worker(trial: Trial) -> Done:
    stage = trial.stage
    before = stage.workers
    lost = connections_of(before[0], stage.service.port)
    hurt = time.monotonic()
    os.kill(before[0], signal.SIGKILL)
    wait_replaced(stage, set(before), before[0])
    notes = f"replaced after {time.monotonic() - hurt:.1f} s"
    return Done(hurt, notes, lost=lost + 2, kills=True)


def stop_a_worker(trial: Trial) -> Done:
    stage = trial.stage
    before, mark = stage.workers, stage.service.mark()
    lost = connections_of(before[1], stage.service.port)
    hurt = time.monotonic()
    os.kill(before[1], signal.SIGSTOP)
    stage.service.wait_line("does not move any more", mark)
    found = time.monotonic() - hurt
    wait_replaced(stage, set(before), before[1])
    notes = f"noticed after {found:.1f} s, replaced after {time.monotonic() - hurt:.1f} s"
    return Done(hurt, notes, lost=lost + 2, kills=True)


def restart_all_workers(trial: Trial) -> Done:
    stage = trial.stage
    hurt = time.monotonic()
    for pid in stage.workers:
        before = set(stage.workers)
        os.kill(pid, signal.SIGTERM)
        wait_replaced(stage, before, pid)
    return Done(hurt, f"all three in {time.monotonic() - hurt:.1f} s", stopped=WORKERS)


def kill_the_supervisor(trial: Trial) -> Done:
    """Somebody begins the service anew, as soon as its address is free."""
    stage = trial.stage
    workers, port = stage.workers, stage.service.port
    before = stage.service
    hurt = time.monotonic()
    before.process.kill()
    until(lambda: not any(alive(pid) for pid in workers), PATIENCE)
    ended = time.monotonic() - hurt
    before.stop()
    stage.service = stage.start(port)
    stage.service.lines[:0] = [line for line in before.lines if "revision" in line]
    trial.load.aim(port, grpc_port(stage.service))
    notes = f"workers ended after {ended:.1f} s, begun anew after {time.monotonic() - hurt:.1f} s"
    return Done(hurt, notes, lost=50, stopped=WORKERS, anew=True)


def end_the_service(trial: Trial) -> Done:
    """SIGTERM, as a plain supervisor of processes sends it."""
    return _ended(trial, [trial.stage.service.process.pid])


def end_all_processes(trial: Trial) -> Done:
    """SIGTERM to every process, as systemd sends it to a control group: workers are told twice."""
    return _ended(trial, [*trial.stage.workers, trial.stage.service.process.pid])


def _ended(trial: Trial, pids: list[int]) -> Done:
    stage = trial.stage
    hurt = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.05)  # signals that come at one moment may arrive as one
    code = stage.service.process.wait(30)
    ended = time.monotonic()
    assert code == 0, stage.service.log
    assert ended - hurt >= GRACE_SECONDS
    assert "Traceback" not in stage.service.log
    opened = [each for each in trial.load.missed if each.asked < hurt + GRACE_SECONDS and not each.lost]
    assert opened == []
    answered = [each for each in trial.load.answered if each.asked > hurt]
    assert {each.caller for each in answered} == {"pep", "second", "grpc"}
    ids = {line["decision_id"] for line in stage.lines()}
    assert {each for found in trial.load.answered for each in found.ids} <= ids
    notes = f"{len(answered)} answers since, ended after {ended - hurt:.1f} s"
    return Done(hurt, notes, stopped=WORKERS, ended=ended)


LIVING = (
    Fault("a worker is killed", kill_a_worker),
    Fault("a worker is stopped", stop_a_worker),
    Fault("workers are restarted one after the other", restart_all_workers),
)
ENDING = (
    Fault("the supervisor is killed", kill_the_supervisor),
    Fault("told to end by SIGTERM", end_the_service),
    Fault("all processes are told to end at once", end_all_processes),
)
