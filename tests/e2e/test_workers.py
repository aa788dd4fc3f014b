"""Several processes that serve as one: they change over together, and each is replaced when it ends."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e.hammer import Hammer
from tests.e2e.inspecting import alive, children_of, files_of, metrics_of, revisions, workers_of
from tests.e2e.running import PEP, Pki, Service, ask, question, send, until

WORKERS = 3


class Start(Protocol):
    """Begins a service of several workers, which ends with the test."""

    def __call__(self, *more: str, workers: int = WORKERS) -> Service: ...


@pytest.fixture
def start(pki: Pki, policies: Path) -> Iterator[Start]:
    with ExitStack() as started:

        def start(*more: str, workers: int = WORKERS) -> Service:
            service = Service(pki, policies, "--workers", str(workers), *more)
            started.callback(service.stop)
            return service

        yield start


@pytest.fixture
def service(start: Start) -> Service:
    return start()


def sockets_of(pid: int) -> int:
    return sum(link.startswith("socket:") for link in files_of(pid))


def edit(service: Service, text: str) -> None:
    part = service.policies / "new"
    part.write_text(text)
    part.rename(service.policies / "main.policy")


def test_connections_are_balanced(service: Service) -> None:
    workers = workers_of(service)
    assert len(workers) == WORKERS
    idle = {pid: sockets_of(pid) for pid in workers}
    tried = []
    for _ in range(5):  # a worker that gets no processor for milliseconds leaves its share to others
        with ExitStack() as opened:
            for _ in range(30):
                connection = service.connect()
                opened.callback(connection.close)
                assert send(connection, question()).status == 200
            tried.append([sockets_of(pid) - idle[pid] for pid in workers])
        assert sum(tried[-1]) == 30
        if min(tried[-1]) >= 8:
            return
        until(lambda: idle == {pid: sockets_of(pid) for pid in workers})
    pytest.fail(f"never balanced: {tried}")


def test_no_worker_answers_with_a_version_once_a_newer_one_was_seen(service: Service) -> None:
    good = (service.policies / "main.policy").read_text()
    with Hammer(service) as hammer:
        for number in range(12):
            edit(service, f"{good}# {number}\n")
            until(lambda number=number: len(revisions(service)) == number + 2)
            newest = revisions(service)[-1]
            until(lambda newest=newest: hammer.has(lambda each: each.revision == newest))

    assert not hammer.lost
    assert {each.status for each in hammer.answered} == {200}
    assert len({each.revision for each in hammer.answered}) == 13
    hammer.assert_never_backwards(revisions(service))


def test_a_worker_that_is_stopped_answers_no_more_once_the_others_go_on(service: Service) -> None:
    good = (service.policies / "main.policy").read_text()
    stopped = workers_of(service)[0]
    with Hammer(service, connections=12) as hammer:
        until(lambda: len(hammer.answered) > 100)
        os.kill(stopped, signal.SIGSTOP)
        edit(service, f"{good}# newer\n")
        service.wait_line("does not move any more")
        until(lambda: len(revisions(service)) == 2)
        newest = revisions(service)[-1]
        until(lambda: hammer.has(lambda each: each.revision == newest))
        with pytest.raises(ProcessLookupError):
            os.kill(stopped, signal.SIGCONT)
        until(lambda: len(workers_of(service)) == WORKERS)
        time.sleep(0.5)

    assert {each.status for each in hammer.answered} == {200}
    hammer.assert_never_backwards(revisions(service))
    assert len(hammer.lost) <= 12  # those on the worker that was stopped, once each
    assert hammer.answered[-1].revision == newest


def test_a_worker_that_is_killed_is_replaced_and_the_others_answer_meanwhile(service: Service) -> None:
    killed = workers_of(service)[1]
    with Hammer(service, connections=9) as hammer:
        until(lambda: len(hammer.answered) > 50)
        began = time.monotonic()
        os.kill(killed, signal.SIGKILL)
        service.wait_line("another one takes its place")
        until(lambda: len(workers_of(service)) == WORKERS)
        time.sleep(1)

    assert killed not in workers_of(service)
    assert {each.status for each in hammer.answered} == {200}
    assert len(hammer.lost) <= 9
    gaps = sorted(each.heard for each in hammer.answered if each.heard > began)
    assert max(b - a for a, b in pairwise(gaps)) < 1


def test_a_worker_is_replaced_also_where_what_it_was_forked_from_is_gone(service: Service) -> None:
    (server,) = children_of(service.process.pid)
    workers = workers_of(service)
    orphan, killed, *_ = workers
    os.kill(server, signal.SIGKILL)
    until(lambda: not alive(server))
    assert {ask(service).status for _ in range(2 * WORKERS)} == {200}  # the workers go on
    os.kill(killed, signal.SIGKILL)

    until(lambda: len(workers_of(service)) == 1)  # of what it is forked from now

    edit(service, f"{(service.policies / 'main.policy').read_text()}# newer\n")
    until(lambda: len(revisions(service)) == 2)
    assert {ask(service).json["revision"] for _ in range(4 * WORKERS)} == {revisions(service)[-1]}
    os.kill(orphan, signal.SIGKILL)  # nobody waits for it but whoever adopts it: its end is seen all the same
    until(lambda: len(workers_of(service)) == 2)


def test_a_bad_version_changes_nothing_in_any_worker(service: Service) -> None:
    good = (service.policies / "main.policy").read_text()
    served = ask(service).json["revision"]

    edit(service, "language 1\nallow\n")
    service.wait_line(f"still serving {served}")
    assert {ask(service).json["revision"] for _ in range(12)} == {served}
    until(lambda: ask(service).json["age_seconds"] >= 1, 10)
    edit(service, good)

    until(lambda: ask(service).json["age_seconds"] == 0)
    assert {ask(service).json["revision"] for _ in range(12)} == {served}


def test_when_the_supervisor_is_killed_the_workers_end(start: Start) -> None:
    service = start(workers=2)
    workers = workers_of(service)
    service.process.kill()

    until(lambda: not any(alive(pid) for pid in workers), 20)
    assert service.stop() == -signal.SIGKILL


def test_on_sigterm_all_end_cleanly(start: Start) -> None:
    service = start(workers=2)
    workers = workers_of(service)
    with service.tls() as idle:
        assert service.stop() == 0
        assert idle.recv(1) == b""

    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert "Traceback" not in service.log


def test_a_fork_server_that_hangs_does_not_keep_the_service_from_ending(start: Start) -> None:
    service = start(workers=2)
    (server,) = children_of(service.process.pid)
    killed, _ = workers_of(service)
    os.kill(server, signal.SIGSTOP)
    os.kill(killed, signal.SIGKILL)
    service.wait_line("another one takes its place")
    time.sleep(1.2)  # it is asked for after a pause

    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 10
    assert "cannot be begun" not in service.log


def drain_settings(folder: Path, grace_seconds: int) -> tuple[str, ...]:
    file = folder / "pdp.toml"
    file.write_text(f"[drain]\ngrace_seconds = {grace_seconds}\n")
    return "--config", str(file), "--health", "127.0.0.1:0"


def test_a_worker_that_is_told_twice_to_end_has_its_grace_period(start: Start, tmp_path: Path) -> None:
    """As where all processes are told at once, and then each worker by its supervisor as well."""
    service = start(*drain_settings(tmp_path, 2), workers=2)
    workers = workers_of(service)
    began = time.monotonic()
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    time.sleep(0.5)  # two signals at one moment may arrive as one
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert {ask(service).json["decision"] for _ in range(6)} == {"allow"}

    service.process.wait(20)
    assert time.monotonic() - began >= 2
    assert service.stop() == 0


def test_a_second_signal_to_the_service_ends_the_grace_period(start: Start, tmp_path: Path) -> None:
    service = start(*drain_settings(tmp_path, 60), workers=2)
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)

    assert service.stop() == 0


def test_what_keeps_a_worker_from_serving_is_said_at_the_start(start: Start, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the decision log cannot be opened"):
        start(*log_settings(tmp_path, tmp_path))


def log_settings(folder: Path, target: Path) -> tuple[str, ...]:
    file = folder / "pdp.toml"
    file.write_text(f'[decision_log]\nto = "{target}"\n[metrics]\nreaders = ["{PEP}"]\n')
    return "--config", str(file)


def test_counts_are_those_of_all_workers_whichever_is_asked(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "decisions.log"
    service = start(*log_settings(tmp_path, log))
    for _ in range(40):
        assert ask(service).status == 200
    until(lambda: metrics_of(service)['pdp_log_entries_total{outcome="logged"}'] == 40)
    seen = [metrics_of(service) for _ in range(6)]
    service.stop()

    key = 'pdp_decisions_total{decision="allow",reason="allowed",service="web.shop"}'
    assert {found[key] for found in seen} == {40}
    assert {found["pdp_decision_seconds_count"] for found in seen} == {40}
    assert len(log.read_text().splitlines()) == 40


def test_decided_is_logged_and_dropped_when_workers_are_killed(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "decisions.log"
    service = start(*log_settings(tmp_path, log))
    with Hammer(service, connections=12, pause=0) as hammer:
        for _ in range(3):
            before = len(hammer.answered)
            until(lambda before=before: len(hammer.answered) > before + 300, 30)
            os.kill(workers_of(service)[0], signal.SIGKILL)
            until(lambda: len(workers_of(service)) == WORKERS)
    until(lambda: metrics_of(service)["pdp_log_queue"] == 0)
    counts = metrics_of(service)
    service.stop()

    decided = counts["pdp_log_decided_total"]
    logged = counts['pdp_log_entries_total{outcome="logged"}']
    dropped = counts['pdp_log_entries_total{outcome="dropped"}']
    assert decided == logged + dropped
    assert decided >= len(hammer.answered)
    assert {each.status for each in hammer.answered} == {200}
    # A worker may be killed between writing lines and counting them: they count as lost, and are there.
    lines = log.read_text().splitlines()
    assert logged <= len(lines) <= decided
    assert all(line.startswith("{") and line.endswith("}") for line in lines)
