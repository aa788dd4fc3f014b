"""Reports of reuse: the caller's word, counted and logged apart from decisions, whole or not at all."""

import json
import threading

import msgspec
import pytest

from pdp.adapters.grpc.questions import read_reuse
from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.adapters.schemas import BadQuestionError
from pdp.audit import decision_log
from pdp.audit.decision_log import DecisionLog
from pdp.audit.log_mode import LogMode
from pdp.audit.record import Recorder
from pdp.audit.reuse import ReuseReport
from pdp.limits import MAX_REUSE_BODY_BYTES, MAX_REUSE_ITEMS, MAX_REUSE_TIMES
from pdp.service.decision_service import DecisionService
from tests.docs.application import ERRORS, PROXY, WEB, asking, caller, post, service
from tests.e2e.running import until

ID = "01M7YZMHG02K57QD7K1S9DT5QK"
OTHER = "01M7YZMHG0ZJV5JYCZY33SZZN6"


class Kept:
    """A sink in memory, which can be full or slow."""

    def __init__(self) -> None:
        self.lines: list[dict] = []
        self.full = False
        self.gate = threading.Event()
        self.gate.set()

    def write(self, lines: bytes) -> None:
        self.gate.wait(10)
        if self.full:
            raise OSError(28, "No space left on device")
        self.lines += map(json.loads, lines.splitlines())

    def close(self) -> None:
        """Nothing to close."""


def logged(mode: LogMode = LogMode.DROP, one_in: int = 1) -> tuple[DecisionService, Kept]:
    sink, to = Kept(), service(ERRORS)
    to.log = DecisionLog(sink, Recorder(b"k"), mode=mode, one_in=one_in)
    return to, sink


def report(to: DecisionService, items: list[dict], **how: object) -> int:
    return post(to, json.dumps({"reused": items}).encode(), path="/v1/reuse", **how).status_code


def test_a_report_is_counted_and_logged_as_its_callers_word() -> None:
    to, sink = logged()

    got = post(
        to,
        json.dumps(
            {"reused": [{"decision_id": ID, "times": 3}, {"decision_id": OTHER, "times": 1}]}
        ).encode(),
        path="/v1/reuse",
    )
    to.log.close()

    assert (got.status_code, got.content) == (204, b"")
    assert to.metrics.counts().reused == 4
    ((line),) = sink.lines
    assert line.pop("time").endswith("Z")
    assert line == {
        "caller": PROXY,
        "reused": [{"decision_id": ID, "times": 3}, {"decision_id": OTHER, "times": 1}],
    }


@pytest.mark.parametrize("mode", LogMode)
def test_reports_are_no_decisions_and_decisions_add_up_without_them(mode: LogMode) -> None:
    to, sink = logged(mode, one_in=2)
    for _ in range(10):
        asking()(to)
        assert report(to, [{"decision_id": ID, "times": 1}]) == 204
    to.log.close()

    counts = to.log.counts
    assert counts.decided == 10
    assert counts.decided == counts.logged + counts.sampled_out
    assert (counts.reports_logged, counts.reports_dropped) == (10, 0)
    assert sum("reused" in line for line in sink.lines) == 10
    assert sum("decision" in line for line in sink.lines) == counts.logged


def test_reports_that_do_not_fit_are_dropped_and_decisions_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_log, "MAX_LOG_REPORTS", 3)
    to, sink = logged()
    sink.gate.clear()
    for _ in range(8):
        assert report(to, [{"decision_id": ID, "times": 1}]) == 204
        asking()(to)
    sink.gate.set()
    to.log.close()

    counts = to.log.counts
    assert (counts.reports_logged, counts.reports_dropped) == (3, 5)
    assert counts.decided == counts.logged == 8
    assert to.metrics.counts().reused == 8


def test_room_for_reports_comes_back_once_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_log, "MAX_LOG_REPORTS", 1)
    to, sink = logged()
    for number in range(3):
        report(to, [{"decision_id": ID, "times": 1}])
        until(lambda wanted=number + 1: len(sink.lines) == wanted)
        until(lambda: to.log.waiting == 0)
    to.log.close()
    assert to.log.counts.reports_logged == 3


def test_reports_that_cannot_be_written_are_counted_apart() -> None:
    to, sink = logged()
    sink.full = True
    report(to, [{"decision_id": ID, "times": 1}])
    asking()(to)
    until(lambda: to.log.waiting == 0 and to.log.counts.failed == 1)
    to.log.close()
    counts = to.log.counts
    assert (counts.failed, counts.reports_dropped, counts.reports_logged) == (1, 1, 0)
    assert not sink.lines


def test_a_report_is_taken_whole_or_not_at_all() -> None:
    to, sink = logged()
    assert report(to, [{"decision_id": ID, "times": 1}, {"decision_id": ID, "times": 0}]) == 400
    to.log.close()
    assert to.metrics.counts().reused == 0
    assert not sink.lines


def test_an_empty_report_says_nothing() -> None:
    to, sink = logged()
    assert report(to, []) == 204
    to.log.close()
    assert not sink.lines


def test_only_listed_callers_report() -> None:
    to, _ = logged()
    got = post(to, b"{", path="/v1/reuse", who=caller(WEB))
    assert (got.status_code, got.json()["error"]["code"]) == (403, "caller_not_listed")


def test_a_report_counts_towards_how_often_a_caller_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    to, _ = logged()
    monkeypatch.setattr(to.admission, "_per_second", 1)
    assert report(to, []) == 204
    assert report(to, []) == 503


def test_the_largest_report_fits_its_body() -> None:
    items = [{"decision_id": ID, "times": MAX_REUSE_TIMES}] * MAX_REUSE_ITEMS
    assert len(json.dumps({"reused": items}, indent=1).encode()) < MAX_REUSE_BODY_BYTES
    to, _ = logged()
    assert report(to, items) == 204


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"decision_id": ID}, "missing_field"),
        ({"decision_id": ID, "times": 1, "who": "me"}, "unknown_field"),
        ({"decision_id": ID, "times": "1"}, "wrong_type"),
        ({"decision_id": ID, "times": 1.0}, "wrong_type"),
        ({"decision_id": ID, "times": True}, "wrong_type"),
        ({"decision_id": ID.lower(), "times": 1}, "invalid_decision_id"),
        ({"decision_id": f"{ID}\n", "times": 1}, "invalid_decision_id"),
        ({"decision_id": ID, "times": -1}, "invalid_times"),
        ({"decision_id": ID, "times": MAX_REUSE_TIMES + 1}, "invalid_times"),
    ],
)
def test_a_bad_item_is_told_by_name(item: dict, code: str) -> None:
    to, _ = logged()
    got = post(to, json.dumps({"reused": [item]}).encode(), path="/v1/reuse")
    assert got.json()["error"]["code"] == code


def test_a_report_over_grpc_is_read_in_one_way() -> None:
    message = v1.ReuseReport(reused=[v1.Reused(decision_id=ID, times=2)])
    assert [(item.decision_id, item.times) for item in read_reuse(message.SerializeToString())] == [(ID, 2)]
    with pytest.raises(BadQuestionError) as refused:
        read_reuse(message.SerializeToString() + b"\x10\x01")
    assert refused.value.code == "unknown_field"


def test_a_report_in_the_log_is_a_value() -> None:
    with pytest.raises(AttributeError):
        msgspec.convert({"caller": "c", "now": 1, "reused": []}, ReuseReport).now = 2  # type: ignore[misc]
