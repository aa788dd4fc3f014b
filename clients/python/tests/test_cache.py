"""When an answer that is held may be used again, by clocks that the tests set."""

import threading
from typing import Any

import pytest
from msgspec.structs import replace

from pdp_client import limits
from pdp_client.cache import Kept, RegionCache
from pdp_client.decision import Decision, RemoveHeader, Rule
from pdp_client.question import Certificate, Jwt, Question, User, UserToken
from pdp_client.region import Excluding, Region

WEB, APP = "spiffe://prod.example.org/web", "spiffe://prod.example.org/app"
REGION = Region(service="s", principal=WEB, method="GET", path=("v1", None), rest=False, context={})
ASKED = Question(principal=WEB, service="s", method="GET", path="/v1/a")
ANSWER = Decision(
    effect="allow",
    reason="allowed",
    enforced=True,
    obligations=(RemoveHeader("x"),),
    decision_id="1",
    revision="r1",
    age_seconds=0,
    region=REGION,
    max_age_ms=3000,
    counted=True,
    rules=(Rule("s/r", "f:1"),),
    shadow={"decision": "deny"},
    explanation={"nearest": None},
)


class Held:
    """A cache whose stream has told `r1`, and clocks that stand."""

    def __init__(self, **what: Any) -> None:
        self.now, self.wall = 100.0, 1_000_000.0
        self.cache = RegionCache(clock=lambda: self.now, wall_clock=lambda: self.wall, **what)
        self.cache.told("r1")

    def keep(self, asked: Question = ASKED, sent: float | None = None, **what: Any) -> Kept:
        began, era = self.cache.begin()
        return self.cache.keep(asked, replace(ANSWER, **what), began if sent is None else sent, era)

    def hit(self, path: str = "/v1/b", **what: Any) -> Decision | None:
        given = {name: getattr(ASKED, name) for name in Question.__struct_fields__}
        return self.cache.find(Question(**{**given, "path": path, **what}))

    def beat(self, seconds: float) -> None:
        """Time goes by, and the stream speaks."""
        self.now += seconds
        self.cache.heard()


def test_an_answer_holds_in_its_region_without_what_is_of_the_first_request_alone() -> None:
    held = Held()
    assert held.keep() is Kept.YES
    found = held.hit()
    assert found is not None
    assert found.reused
    assert found.allowed
    assert found.obligations == (RemoveHeader("x"),)
    assert (found.rules, found.shadow, found.explanation) == ((), None, None)
    assert (
        held.hit("/v1/b/c")
        is held.hit(principal=APP)
        is held.hit(method="PUT")
        is held.hit(service="t")
        is None
    )


def test_what_has_ended_is_let_go() -> None:
    held = Held()
    assert held.keep(region=replace(REGION, method="PUT"), asked=replace(ASKED, method="PUT")) is Kept.YES
    held.beat(4)
    assert held.keep() is Kept.YES
    assert held.cache.counts.entries == 2

    held.beat(2)  # the first has ended by now, and it is time to look
    assert held.keep(region=replace(REGION, method="POST"), asked=replace(ASKED, method="POST")) is Kept.YES

    assert held.cache.counts.entries == 2


def test_an_answer_ages_from_when_the_question_was_sent() -> None:
    held = Held()
    held.keep(sent=held.now - 1)
    held.beat(1.999)
    assert held.hit() is not None
    held.beat(0.001)
    assert held.hit() is None


def test_an_answer_that_took_longer_than_it_holds_is_not_kept() -> None:
    held = Held()
    assert held.keep(sent=held.now - 3) is Kept.NO
    assert held.keep(max_age_ms=0) is Kept.NO


def test_no_answer_is_used_for_longer_than_the_limit() -> None:
    held = Held()
    held.keep(max_age_ms=10**12)
    for _ in range(4):
        held.beat(limits.MAX_REUSE_SECONDS / 4)
    assert held.hit() is None


def test_an_answer_ends_at_the_instant_that_it_names() -> None:
    held = Held()
    held.keep(valid_until=held.wall + 1)
    held.beat(0.999)
    assert held.hit() is not None
    held.beat(0.001)
    assert held.hit() is None


@pytest.mark.parametrize("what", [{"counted": False}, {"region": None}, {"valid_until": 1.0}])
def test_what_is_not_to_be_used_again_is_not_kept(what: dict[str, Any]) -> None:
    held = Held()
    assert held.keep(**what) is Kept.NO
    assert held.hit() is None


def test_an_answer_whose_region_does_not_hold_its_own_question_is_not_kept() -> None:
    assert Held().keep(region=replace(REGION, method="PUT")) is Kept.NO


def test_nothing_is_used_once_the_stream_was_silent_for_a_lease() -> None:
    held = Held(lease_seconds=2.0)
    held.keep()
    held.now += 1.999
    assert held.hit() is not None
    held.now += 0.001
    assert held.hit() is None
    assert not held.cache.is_used
    held.cache.heard()
    assert held.hit() is not None


def test_another_revision_leaves_nothing() -> None:
    held = Held()
    held.keep()
    held.cache.told("r2")
    assert held.hit() is None
    held.cache.told("r1")
    assert held.hit() is None


def test_the_same_revision_told_anew_leaves_what_is_held() -> None:
    held = Held()
    held.keep()
    held.cache.told("r1")
    assert held.hit() is not None


def test_an_answer_of_another_revision_leaves_nothing_until_the_stream_tells_one() -> None:
    held = Held()
    held.keep()
    assert held.keep(revision="r2") is Kept.OTHER_REVISION
    assert held.hit() is None
    assert held.keep() is Kept.NO, "which of the two is old, only the stream can say"
    held.cache.heard()
    assert not held.cache.is_used
    held.cache.told("r2")
    assert held.keep(revision="r2") is Kept.YES
    assert held.hit() is not None


def test_nothing_is_kept_before_the_stream_tells_a_revision() -> None:
    cache = RegionCache(clock=lambda: 0.0)
    cache.heard()
    assert cache.keep(ASKED, ANSWER, *cache.begin()) is Kept.NO
    assert not cache.is_used


def test_another_identity_has_nothing_and_gets_no_answer_that_was_on_its_way() -> None:
    held = Held()
    held.keep()
    sent, era = held.cache.begin()
    held.cache.begin_anew()
    held.cache.told("r1")
    assert held.hit() is None
    assert held.cache.keep(ASKED, ANSWER, sent, era) is Kept.NO
    assert held.hit() is None


def test_nothing_is_used_while_the_stream_moves() -> None:
    held = Held()
    held.keep()
    held.cache.suspend()
    assert held.hit() is None
    held.cache.told("r1")
    assert held.hit() is not None


def test_answers_for_a_host_are_kept_by_host() -> None:
    held = Held()
    by_host = Question(principal=WEB, host="a.test", method="GET", path="/v1/a")
    held.keep(by_host)
    assert held.hit() is None
    assert held.hit(service=None, host="a.test") is not None
    assert held.hit(service=None, host="a.test:443") is None


def test_the_least_recently_used_goes() -> None:
    held = Held(max_entries=2)
    for name in "ab":
        held.keep(Question(**{**USUAL, "path": f"/v1/{name}"}), region=replace(REGION, path=("v1", name)))
    assert held.hit("/v1/a") is not None
    held.keep(Question(**{**USUAL, "path": "/v1/c"}), region=replace(REGION, path=("v1", "c")))
    assert held.hit("/v1/b") is None
    assert held.hit("/v1/a") is not None
    assert held.cache.counts.entries == 2


USUAL = {"principal": WEB, "service": "s", "method": "GET"}


def test_what_is_held_is_bounded_whatever_answers_say() -> None:
    held = Held(max_entries=50)
    for number in range(400):
        steps = ("v1", Excluding((f"x{number}",))) + (None,) * (number % 20)
        path = "/v1/a" + "/b" * (number % 20)
        held.keep(Question(**USUAL, path=path), region=replace(REGION, path=steps), decision_id=str(number))
    assert held.cache.counts.entries <= 50
    assert len(list(held.cache._index)) == held.cache.counts.entries


def test_shapes_of_a_service_are_bounded() -> None:
    held = Held()
    kept = [
        held.keep(
            Question(**USUAL, path="/v1/a", context={f"x.{number}": "v"}),
            region=replace(REGION, context={f"x.{number}": "v"}),
        )
        for number in range(limits.MAX_SHAPES + 1)
    ]
    assert kept.count(Kept.YES) == limits.MAX_SHAPES
    assert kept[-1] is Kept.NO


def test_the_same_region_again_takes_the_place_of_the_first() -> None:
    held = Held()
    held.keep()
    held.keep(decision_id="2")
    found = held.hit()
    assert found is not None
    assert found.decision_id == "2"
    assert held.cache.counts.entries == 1


def test_an_answer_about_a_user_that_was_proven_is_for_the_very_same_token() -> None:
    held = Held()
    asked = Question(**USUAL, path="/v1/a", user=UserToken("one"))
    assert held.keep(asked, region=replace(REGION, evidence=("user",))) is Kept.YES
    assert held.hit(user=UserToken("one")) is not None
    assert held.hit(user=UserToken("two")) is held.hit() is held.hit(user=User("i", "s")) is None


def test_an_answer_about_a_workload_that_was_proven_is_for_the_very_same_token() -> None:
    held = Held()
    asked = Question(**{**USUAL, "principal": Jwt("one")}, path="/v1/a")
    assert held.keep(asked, region=replace(REGION, evidence=("principal",))) is Kept.YES
    assert held.hit(principal=Jwt("one")) is not None
    assert held.hit(principal=Jwt("two")) is held.hit(principal=Certificate("one")) is held.hit() is None


def test_one_is_no_true() -> None:
    held = Held()
    asked = Question(**USUAL, path="/v1/a", context={"x.n": 1})
    held.keep(asked, region=replace(REGION, context={"x.n": ("int", 1)}))
    assert held.hit(context={"x.n": 1}) is not None
    assert held.hit(context={"x.n": True}) is None


def test_hits_are_counted_by_answer_and_taken_once() -> None:
    held = Held()
    held.keep()
    for _ in range(3):
        held.hit()
    assert held.cache.take_times(10) == {"1": 3}
    assert held.cache.take_times(10) == {}
    held.hit()
    assert held.cache.take_times(10) == {"1": 1}


def test_hits_are_taken_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdp_client.cache.MAX_UNREPORTED", 3)
    held = Held()
    for number in range(5):
        held.keep(decision_id=str(number))
        held.hit()
    assert held.cache.counts.unreported == 2
    assert len(held.cache.take_times(2)) == 2
    assert len(held.cache.take_times(2)) == 1


@pytest.mark.slow
def test_threads_never_find_what_is_of_an_older_revision_than_was_told_before_they_looked() -> None:
    cache = RegionCache()
    told = ["r0"]
    cache.told("r0")
    wrong: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            at_least = int(told[0][1:])
            sent, era = cache.begin()
            found = cache.find(ASKED)
            if found is not None and int(found.revision[1:]) < at_least:
                wrong.append(found.revision)
            cache.keep(ASKED, replace(ANSWER, revision=told[0]), sent, era)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 3000):
        cache.told(f"r{number}")
        told[0] = f"r{number}"
    done.set()
    for thread in threads:
        thread.join()
    assert cache.counts.hits > 0
    assert not wrong
