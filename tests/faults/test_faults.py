"""Whatever fails, no answer is wrong, and all is well again soon: each fault once, under load.

`make faults` does the same for longer, and writes `docs/faults.md`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.faults import ALONE, TOGETHER, load_for, stage
from tests.faults.stage import Stage
from tests.faults.trial import Effort, Fault, try_fault

EFFORT = Effort(steady=0.5, reloads=24, floods=60)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("faults") / "shared") as made:
        yield made


@pytest.mark.parametrize("fault", TOGETHER, ids=lambda fault: fault.name)
def test_a_service_that_goes_on(shared: Stage, fault: Fault) -> None:
    print(try_fault(fault, shared, EFFORT, load_for(fault, shared)))

    told = shared.service.log
    assert "Traceback" not in told, told.partition("Traceback")[2][:4000]


@pytest.mark.parametrize("fault", ALONE, ids=lambda fault: fault.name)
def test_a_service_of_its_own(tmp_path: Path, fault: Fault) -> None:
    with stage(tmp_path / "own", fault) as made:
        print(try_fault(fault, made, EFFORT, load_for(fault, made)))
