"""Once a change of trust is told, it holds in every worker, also where one does not hear of it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.inspecting import alive, workers_of
from tests.e2e.running import PROD
from tests.e2e.trusting import Trusting

WORKERS = 3
REMOVED = f"trust changed: `{PROD}`: 1 root removed"
ADDED = f"trust changed: `{PROD}`: 1 root added"


@pytest.fixture
def trusting(tmp_path: Path, policies: Path) -> Iterator[Trusting]:
    made = Trusting(tmp_path / "trusting", policies, "--workers", str(WORKERS))
    yield made
    made.service.stop()


def test_a_worker_that_is_stopped_never_answers_callers_whose_root_is_removed(
    trusting: Trusting,
) -> None:
    stopped = workers_of(trusting.service)[0]
    mark = trusting.service.mark()
    os.kill(stopped, signal.SIGSTOP)
    trusting.believe(trusting.first)

    trusting.service.wait_line(REMOVED, mark)

    assert any("did not take certificates" in line for line in trusting.service.lines[mark:])
    assert not alive(stopped)
    assert {trusting.over_http("second") for _ in range(4 * WORKERS)} == {b""}
    assert b"200 OK" in trusting.over_http("pep")


def test_each_change_holds_everywhere_when_it_is_told(trusting: Trusting) -> None:
    for _ in range(3):
        mark = trusting.service.mark()
        trusting.believe(trusting.first)
        trusting.service.wait_line(REMOVED, mark)
        assert {trusting.over_http("second") for _ in range(4 * WORKERS)} == {b""}

        mark = trusting.service.mark()
        trusting.believe(trusting.first, trusting.second)
        trusting.service.wait_line(ADDED, mark)
        assert all(b"200 OK" in trusting.over_http("second") for _ in range(4 * WORKERS))


def test_a_worker_that_begins_after_a_change_begins_with_it(trusting: Trusting) -> None:
    mark = trusting.service.mark()
    trusting.believe(trusting.first)
    trusting.service.wait_line(REMOVED, mark)
    before = set(workers_of(trusting.service))
    for pid in before:
        mark = trusting.service.mark()
        os.kill(pid, signal.SIGTERM)
        trusting.service.wait_line(f"(process {pid}) has ended", mark)

    answers = [trusting.over_http("second") for _ in range(4 * WORKERS)]

    assert set(answers) == {b""}
