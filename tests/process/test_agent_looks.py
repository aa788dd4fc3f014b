"""What is looked at while an agent is away: keys end all the same, and a failure is told once."""

from pathlib import Path

import pytest

from pdp.config.workload_api import WorkloadApiSettings
from pdp.counters import Counters
from pdp.identity.bundle import LiveBundles
from pdp.process.workload_api import WorkloadApi
from pdp.service.metrics import Metrics
from tests.e2e.running import PROD, until


def test_a_look_that_fails_is_told_once_and_the_next_ones_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GRPC_SSL_CIPHER_SUITES", "GRPC_VERBOSITY"):
        monkeypatch.setenv(name, "")  # they are as they were afterwards
    monkeypatch.setattr("pdp.process.workload_api._LOOK_SECONDS", 0.01)
    monkeypatch.setattr("pdp.process.deliveries.MAX_KEYS_SECONDS", 0.1)
    said, looks, live = list[str](), list[bool](), LiveBundles([PROD])

    def changed() -> None:
        looks.append(True)
        if len(looks) < 10:
            raise OSError("too many open files")

    live.on_change(changed)
    settings = WorkloadApiSettings(socket=f"unix:{tmp_path}/agent.sock", trust_domains=[PROD])
    agent = WorkloadApi(settings, {PROD}, live, said.append)

    with agent.follow(None, lambda: None, Metrics(Counters())):
        until(lambda: len(looks) >= 10)

    assert said == ["a defect of pdp: OSError: too many open files"]
    assert "nobody has confirmed them" in live.now()[PROD].keys.fault
