"""Admission: what is let in, what is turned away, and that both are counted."""

import pytest

from pdp.service import admission
from pdp.service.admission import Admission
from pdp.service.errors import OverloadedError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def gate(*, in_flight: int = 10, per_second: int = 0) -> tuple[Admission, Clock, list[str]]:
    clock, shed = Clock(), list[str]()
    return Admission(in_flight=in_flight, per_second=per_second, clock=clock, shed=shed.append), clock, shed


def refused(found: Admission, caller: str = "a", questions: int = 1) -> str:
    with pytest.raises(OverloadedError) as raised:
        found.enter(caller, questions)
    return raised.value.code


def test_so_many_at_a_time_and_no_more() -> None:
    found, _, shed = gate(in_flight=2)

    found.enter("a")
    found.enter("b")
    assert refused(found, "c") == "overloaded"
    found.leave()
    found.enter("c")

    assert found.in_flight == 2
    assert shed == ["in_flight"]


def test_a_batch_counts_with_all_its_questions() -> None:
    found, _, _ = gate(in_flight=10)

    found.enter("a", 10)
    assert refused(found) == "overloaded"
    found.leave(10)
    found.enter("a")

    assert found.in_flight == 1
    assert refused(found, questions=10) == "overloaded"


def test_a_batch_beyond_the_limit_is_let_in_where_nothing_else_is() -> None:
    found, _, _ = gate(in_flight=10)

    found.enter("a", 256)

    assert found.in_flight == 256
    assert refused(found) == "overloaded"


def test_what_is_turned_away_is_not_in_flight() -> None:
    found, _, _ = gate(in_flight=1, per_second=1)
    found.enter("a")
    found.leave()

    assert refused(found) == "rate_limited"
    assert found.in_flight == 0


def test_a_caller_has_a_second_at_once_and_then_its_rate() -> None:
    found, clock, shed = gate(per_second=4)
    for _ in range(4):
        found.enter("a")
        found.leave()
    assert refused(found) == "rate_limited"
    clock.now += 0.25
    found.enter("a")
    found.leave()

    assert refused(found) == "rate_limited"
    assert shed == ["rate", "rate"]


def test_a_bucket_holds_no_more_than_a_second() -> None:
    found, clock, _ = gate(per_second=2)
    found.enter("a")
    clock.now += 3600

    found.enter("a")
    found.enter("a")
    assert refused(found) == "rate_limited"


def test_one_caller_does_not_pay_for_another() -> None:
    found, _, _ = gate(per_second=1)
    found.enter("a")

    assert refused(found, "a") == "rate_limited"
    found.enter("b")


def test_a_large_batch_is_let_in_by_a_full_bucket_and_paid_for() -> None:
    found, clock, _ = gate(in_flight=1000, per_second=10)
    found.enter("a", 100)
    found.leave(100)

    clock.now += 8.9
    assert refused(found) == "rate_limited"
    clock.now += 0.3
    found.enter("a")


def test_the_longest_unseen_caller_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_CALLERS_METERED", 2)
    found, _, _ = gate(per_second=1)
    for caller in ("a", "b"):
        found.enter(caller)
    assert refused(found, "a") == "rate_limited"
    found.enter("c")

    assert refused(found, "a") == "rate_limited"
    found.enter("b")


def test_who_waits_for_somebody_else_takes_nobodys_place() -> None:
    door = Admission(in_flight=2, per_second=0, clock=lambda: 0.0, shed=lambda _: None)
    door.enter("a", 2)

    with door.aside(2):
        door.enter("b", 2)
        door.leave(2)

    assert door.in_flight == 2
