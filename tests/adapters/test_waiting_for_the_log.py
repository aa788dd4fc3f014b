"""Where no decision may go without its line: a question waits, and is decided at the instant after."""

import json

import pytest
from msgspec.structs import replace

from pdp.service.decision_service import DecisionService
from tests.docs.application import ASKED, caller, post, service
from tests.docs.sets import NOW

POLICY = """language 1
trust domain prod = "prod.example.org"
service payments { allow prod/ns/checkout/sa/web to GET /v1/** until 2026-11-22 }
caller prod/ns/mesh/sa/proxy fronts payments may assert any principal of prod
"""
ENDS = 1_795_305_600_000  # 2026-11-22T00:00Z


class Slow:
    """A log that has room at the second look; time has passed by then."""

    blocks = True

    def __init__(self, to: DecisionService, then: int) -> None:
        self.to, self.then, self.looks = to, then, 0
        self.recorded: list[object] = []

    def has_room(self, entries: int = 1) -> bool:
        del entries
        self.looks += 1
        if self.looks > 1:
            self.to._clock = lambda: self.then
        return self.looks > 1

    def record(self, entry: object) -> None:
        self.recorded.append(entry)


def asked(monkeypatch: pytest.MonkeyPatch, then: int, path: str = "/v1/decide", not_after: int = ENDS * 2):
    to = service(POLICY)
    monkeypatch.setattr(to, "_clock", lambda: ENDS - 1)
    log = Slow(to, then)
    monkeypatch.setattr(to, "log", log)
    question = {"questions": [ASKED]} if path.endswith("batch") else ASKED
    return post(to, json.dumps(question).encode(), path=path, who=caller(not_after=not_after)).json(), log, to


def test_an_allow_that_ends_meanwhile_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert NOW < ENDS
    assert asked(monkeypatch, ENDS - 1)[0]["decision"] == "allow"
    assert asked(monkeypatch, ENDS)[0]["decision"] == "deny"

    found, log, _ = asked(monkeypatch, ENDS, "/v1/decide/batch")
    assert found["answers"][0]["decision"] == "deny"
    assert len(log.recorded) == 1


def test_a_caller_that_expires_meanwhile_is_refused_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    found, log, to = asked(monkeypatch, ENDS, not_after=ENDS - 1)

    assert found["error"]["code"] == "caller_expired"
    assert log.recorded == []
    assert to.metrics.counts().refused == {"caller_expired": 1}


def test_every_refused_question_is_counted_once() -> None:
    to = service(POLICY)

    post(to, b"{")
    other = replace(caller("spiffe://prod.example.org/ns/other/sa/x"), fingerprint="11" * 32)
    post(to, json.dumps(ASKED).encode(), who=other)
    post(to, json.dumps({"questions": [{}, ASKED]}).encode(), path="/v1/decide/batch")
    post(to, json.dumps({**ASKED, "service": "none"}).encode())

    assert to.metrics.counts().refused == {
        "invalid_json": 1, "caller_not_listed": 1, "missing_field": 1, "service_not_permitted": 1,
    }  # fmt: skip
    assert sum(to.metrics.counts().decisions.values()) == 1
    assert to.admission.in_flight == 0
