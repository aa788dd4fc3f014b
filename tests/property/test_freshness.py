"""Whatever happens to the policies and the clock: nothing is allowed beyond the limit, nor reused.

The model is what an operator would say: since when has nobody seen the source hold what is served?
It keeps its own account of that, along a time that only goes forward.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.engine.decide import decide
from pdp.service.answered import Answered
from pdp.service.decision_service import DecisionService
from pdp.service.errors import CannotAnswerError
from pdp.store.bundle import make_bundle
from pdp.store.freshness import Freshness, Limit
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from pdp.vocabulary import Effect, Reason, Request
from tests.docs.application import caller
from tests.docs.sets import NOW
from tests.service.test_rights_of_callers import prod

GOOD = [
    f"""language 1
trust domain prod = "prod.example.org"
service a {{ allow prod/** to GET /** as a{n} }}
service b observe until 2100-01-01 {{ }}
service c {{ allow prod/** to GET /** as c }}
caller prod/ns/mesh/sa/proxy fronts any service may assert any principal of prod
""".encode()
    for n in range(3)
]
BAD = b"language 1\nallow\n"
SPANS = st.one_of(st.integers(0, 3000), st.sampled_from([999, 1000, 1001, 1999, 2000, 2001]))
LIMITS = st.one_of(
    st.none(), st.builds(Limit, max_staleness_ms=st.sampled_from([1000, 2000]), refuse=st.booleans())
)
EVENTS = st.one_of(
    st.tuples(st.just("later"), SPANS),
    st.tuples(st.just("confirmed"), st.none()),
    st.tuples(st.just("edited"), st.sampled_from(range(len(GOOD)))),
    st.tuples(st.just("broken"), st.none()),
    st.tuples(st.just("trust"), st.integers(0, 2)),
    st.tuples(st.just("asked"), st.sampled_from("abc")),
)


class World:
    """A service, and what is known of it from outside."""

    def __init__(self, freshness: Freshness) -> None:
        self.now = self.seen_at = NOW
        self.broken = False
        loader = Loader()
        first = loader.load(make_bundle({"a.policy": GOOD[0]}), now=NOW).snapshot
        assert first is not None
        self.publisher = Publisher(loader, first, on_event=lambda _: None, now=NOW)
        self.service = DecisionService(self.publisher, clock=lambda: self.now, freshness=freshness)

    def do(self, event: str, what: Any) -> Answered | None:
        match event:
            case "later":
                self.now += what
            case "confirmed":
                self.publisher.confirm(self.now)
                self.seen_at = self.seen_at if self.broken else self.now
            case "edited":
                self.publisher.offer(make_bundle({"a.policy": GOOD[what]}), self.now)
                self.broken, self.seen_at = False, self.now
            case "broken":
                self.publisher.offer(make_bundle({"a.policy": BAD}), self.now)
                self.broken = True
            case "trust":
                self.publisher.restate(f"roots {what}")
            case _:
                return self.ask(what)
        return None

    def ask(self, service: str) -> Answered | None:
        asked = Request(principal=prod(), service=service, method="GET", path="/x", now=self.now)
        try:
            return self.service.answer(
                caller(not_after=NOW + 10**9), self.publisher.current, self.service.now(), asked
            )
        except CannotAnswerError:
            return None


@given(
    default=LIMITS,
    services=st.dictionaries(st.sampled_from("abc"), LIMITS),
    events=st.lists(EVENTS, max_size=20),
)
@settings(max_examples=200, deadline=None)
def test_nothing_is_allowed_or_reused_beyond_the_limit_and_nothing_is_stale_before(
    default: Limit | None, services: dict[str, Limit | None], events: list[tuple[str, Any]]
) -> None:
    freshness = Freshness(default=default, services=services)
    world = World(freshness)
    for event, what in [*events, *(("asked", name) for name in "abc")]:
        got = world.do(event, what)
        if event != "asked":
            continue
        limit = services.get(what, default)
        age = world.now - world.seen_at
        beyond = limit is not None and age > limit.max_staleness_ms
        assert (got is None) is (beyond and limit is not None and limit.refuse)
        if got is None:
            continue
        decision = got.decision
        assert (decision.reason is Reason.STALE) is beyond
        if beyond:
            assert (decision.effect, decision.enforced, decision.region) == (Effect.DENY, True, None)
            continue
        assert decision == decide(world.publisher.current.snapshot.index, got.request)
        if limit is not None:
            assert world.now + got.max_age_ms <= world.seen_at + limit.max_staleness_ms
        assert got.age_seconds == age // 1000


@given(
    limit=st.integers(1, 10**9),
    confirmed_at=st.integers(0, 2**48),
    now=st.integers(0, 2**48),
    later=st.integers(0, 10**9),
)
def test_as_time_goes_on_what_is_left_only_shrinks_once_the_clock_has_reached_the_confirmation(
    limit: int, confirmed_at: int, now: int, later: int
) -> None:
    found = Limit(max_staleness_ms=limit, refuse=False)

    left = found.left(confirmed_at, now)

    assert left <= limit
    if now >= confirmed_at:
        assert found.left(confirmed_at, now + later) == left - later


@pytest.mark.parametrize(("apart", "left"), [(0, 10), (10, 0), (11, -1), (-10, 0), (-11, -1)])
def test_a_limit_holds_to_the_millisecond_in_both_directions(apart: int, left: int) -> None:
    assert Limit(max_staleness_ms=10, refuse=True).left(NOW, NOW + apart) == left
