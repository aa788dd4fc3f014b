"""Hits are reported by the answer's name, in the background and at the end, and what is lost is counted."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from clients.python.tests.asking import KINDS, client, item, port_of
from tests.e2e.running import ALICE, Pki, Service, make_policies, until


@pytest.fixture(params=KINDS, ids="-".join)
def kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture
def logging(pki: Pki, tmp_path: Path) -> Any:
    log = tmp_path / "decisions.log"
    policies = make_policies(tmp_path / "policies")
    config = tmp_path / "settings.toml"
    config.write_text(f'[decision_log]\nto = "{log}"\n', encoding="utf-8")
    service = Service(pki, policies, "--grpc", "127.0.0.1:0", "--config", str(config))
    yield service, log
    service.stop()


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def reported(log: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in lines(log):
        for each in line.get("reused", ()):
            found[each["decision_id"]] = found.get(each["decision_id"], 0) + each["times"]
    return found


def test_hits_are_in_the_decision_log_beside_the_answer_that_was_used(
    kind: tuple[str, str], logging: tuple[Service, Path], pki: Pki
) -> None:
    service, log = logging
    with client(*kind, [port_of(service, kind[1])], pki) as asks:
        until(lambda: asks.is_reusing)
        first, other = asks.decide(item()), asks.decide(item("/v1/export", principal=ALICE))
        for _ in range(5):
            assert asks.decide(item()).reused
        assert asks.decide(item("/v1/export", principal=ALICE)).reused
        until(lambda: log.exists() and reported(log), 6)
        assert reported(log) == {first.decision_id: 5, other.decision_id: 1}
        asks.decide(item())
    until(lambda: reported(log)[first.decision_id] == 6, 3)
    assert {first.decision_id, other.decision_id} <= {line.get("decision_id") for line in lines(log)}
    assert asks.counts.unreported == 0


def test_what_cannot_be_reported_is_counted_and_keeps_nobody_waiting(
    kind: tuple[str, str], running: Service, pki: Pki
) -> None:
    with client(*kind, [port_of(running, kind[1])], pki) as asks:
        until(lambda: asks.is_reusing)
        asks.decide(item())
        for _ in range(3):
            asks.decide(item())
        running.stop()
        began = time.monotonic()
        asks.close()
        assert time.monotonic() - began < 5
        assert asks.counts.unreported == 3
