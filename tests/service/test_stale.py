"""Questions about policies that were confirmed too long ago: denied or refused, and never allowed."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from pdp.audit.decision_log import DecisionLog
from pdp.audit.log_mode import LogMode
from pdp.audit.record import Recorder
from pdp.counters import Counters
from pdp.principals import spiffe_principal
from pdp.service.decision_service import DecisionService
from pdp.store.bundle import make_bundle
from pdp.store.freshness import UNLIMITED, Freshness, Limit
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from pdp.vocabulary import Reason, Request
from tests.docs.application import WEB, caller, post
from tests.docs.sets import NOW

SET = """\
language 1
trust domain prod = "prod.example.org"
service payments {
    allow prod/ns/checkout/sa/web to GET /v1/** as read
    deny anyone to any /v1/locked as locked
}
service cart observe until 2100-01-01 { allow prod/ns/checkout/sa/web to GET /v1/** as cart }
service orders { allow prod/ns/checkout/sa/web to GET /v1/** as orders }
caller prod/ns/mesh/sa/proxy fronts payments, cart may assert any principal of prod may explain
"""
DENY = Limit(max_staleness_ms=10_000, refuse=False)
REFUSE = Limit(max_staleness_ms=10_000, refuse=True)


class World:
    """A service whose policies were confirmed at `NOW`, and its clock."""

    def __init__(self, freshness: Freshness, **more: Any) -> None:
        self.now = NOW
        self.loader = Loader()
        first = self.loader.load(make_bundle({"a.policy": SET.encode()}), now=NOW).snapshot
        assert first is not None
        self.publisher = Publisher(self.loader, first, on_event=lambda _: None, now=NOW)
        self.service = DecisionService(self.publisher, clock=lambda: self.now, freshness=freshness, **more)

    def ask(self, **change: Any) -> dict[str, Any]:
        return self.answered(change)[0]

    def answered(self, *changes: dict[str, Any]) -> list[dict[str, Any]]:
        """A batch, as its answers."""
        asked = {"principal": WEB, "service": "payments", "method": "GET", "path": "/v1/charges"}
        body = json.dumps({"questions": [{**asked, **change} for change in changes]}).encode()
        who = caller(not_after=NOW + 10**9)
        found: list[dict[str, Any]] = post(self.service, body, path="/v1/decide/batch", who=who).json()[
            "answers"
        ]
        return found


def shape(answer: dict[str, Any]) -> tuple[str, str]:
    return ("error", answer["error"]["code"]) if "error" in answer else (answer["decision"], answer["reason"])


def test_up_to_the_limit_it_is_answered_and_beyond_denied_for_this_very_request() -> None:
    world = World(Freshness(default=DENY))

    world.now += 10_000
    at = world.ask()
    world.now += 1
    beyond = world.ask()

    assert (shape(at), at["max_age_ms"], at["reuse"]) == (("allow", "allowed"), 0, "no")
    assert {key: value for key, value in beyond.items() if key not in {"decision_id", "revision"}} == {
        "decision": "deny", "reason": "stale", "enforced": True, "rules": [], "age_seconds": 10,
        "region": None, "max_age_ms": 0, "valid_until": None, "obligations": [], "reuse": "no",
    }  # fmt: skip


@pytest.mark.parametrize("what", [{"path": "/v1/locked"}, {"method": "PUT"}, {"path": "/%2e%2e/"}, {}])
def test_whatever_the_rules_say_it_is_stale(what: dict[str, Any]) -> None:
    world = World(Freshness(default=DENY))
    world.now += 10_001

    assert shape(world.ask(**what)) == ("deny", "stale")


def test_a_service_that_is_only_observed_is_denied_and_that_is_enforced() -> None:
    world = World(Freshness(default=DENY))
    assert shape(world.ask(service="cart", method="PUT")) == ("allow", "observed")

    world.now += 10_001
    got = world.ask(service="cart", method="PUT")

    assert (shape(got), got["enforced"]) == (("deny", "stale"), True)


def test_where_it_is_refused_the_item_of_a_batch_has_an_error_and_the_others_their_answers() -> None:
    world = World(Freshness(default=REFUSE, services={"cart": None}))
    world.now += 10_001

    refused, served = world.answered({}, {"service": "cart"})

    assert (shape(refused), shape(served)) == (("error", "stale"), ("allow", "allowed"))
    assert world.service.metrics.counts().refused == {"stale": 1}
    assert world.service.metrics.counts().decisions == {("cart", "allowed"): 1}


@pytest.mark.parametrize("freshness", [UNLIMITED, Freshness(default=DENY, services={"payments": None})])
def test_without_a_limit_it_is_answered_as_ever_and_tells_its_age(freshness: Freshness) -> None:
    world = World(freshness)
    world.now += 10**8

    got = world.ask()

    assert (shape(got), got["age_seconds"], got["max_age_ms"]) == (("allow", "allowed"), 10**5, 5000)


@pytest.mark.parametrize("limit", [DENY, REFUSE])
@pytest.mark.parametrize(("age", "max_age"), [(0, 5000), (5000, 5000), (5001, 4999), (9999, 1), (10_000, 0)])
def test_an_answer_is_not_reused_beyond_the_limit(limit: Limit, age: int, max_age: int) -> None:
    world = World(Freshness(default=limit))
    world.now += age

    assert world.ask()["max_age_ms"] == max_age


def test_the_next_confirmation_ends_it() -> None:
    world = World(Freshness(default=DENY))
    world.now += 10_001
    assert shape(world.ask()) == ("deny", "stale")

    world.publisher.confirm(world.now)

    assert shape(world.ask()) == ("allow", "allowed")


def test_an_edit_with_errors_does_not() -> None:
    world = World(Freshness(default=DENY))
    world.publisher.offer(make_bundle({"a.policy": b"language 1\nallow\n"}), world.now)
    world.now += 10_001
    world.publisher.confirm(world.now)

    assert shape(world.ask()) == ("deny", "stale")


def test_a_new_revision_of_the_same_policies_does_not() -> None:
    """A change of trust says nothing of the source of the policies."""
    world = World(Freshness(default=DENY))
    world.now += 10_001
    world.publisher.restate("other roots")

    assert world.publisher.current.number == 2
    assert shape(world.ask()) == ("deny", "stale")


@pytest.mark.parametrize("back", [10_001, 3_600_000])
def test_a_clock_that_was_set_back_makes_nothing_fresh(back: int) -> None:
    world = World(Freshness(default=DENY))
    world.now -= back

    assert shape(world.ask()) == ("deny", "stale")
    world.publisher.confirm(world.now)
    assert shape(world.ask()) == ("allow", "allowed")


def test_a_version_that_was_replaced_meanwhile_has_its_own_age() -> None:
    """An answer of the old version is never as fresh as the new one."""
    world = World(Freshness(default=DENY))
    old = world.publisher.current
    world.now += 10_001
    world.publisher.offer(make_bundle({"a.policy": SET.replace("/v1/**", "/v2/**").encode()}), world.now)
    who = caller(not_after=NOW + 10**9)
    asked = Request(
        principal=spiffe_principal(WEB), service="payments", method="GET", path="/v1/x", now=world.now
    )

    got = world.service.answer(who, old, world.now, asked)

    assert (got.decision.reason, got.age_seconds) == (Reason.STALE, 10)
    assert shape(world.ask(path="/v2/x")) == ("allow", "allowed")


@pytest.mark.parametrize("limit", [DENY, REFUSE])
def test_who_may_not_ask_is_told_nothing_else(limit: Limit) -> None:
    world = World(Freshness(default=limit))
    world.now += 10_001

    refused = world.answered(
        {"service": "orders"}, {"service": "none"}, {"principal": "spiffe://b.example/x"}
    )

    assert [each["error"]["code"] for each in refused] == [
        "service_not_permitted", "service_not_permitted", "principal_not_permitted",
    ]  # fmt: skip


def test_an_explanation_says_so() -> None:
    world = World(Freshness(default=DENY))
    world.now += 10_001

    explanation = world.ask(explain=True)["explanation"]

    assert (explanation["considered"], explanation["nearest"]) == ([], None)
    assert explanation["problem"]["code"] == "stale"
    assert "longer ago than the operator permits" in explanation["problem"]["sentence"]


class Lines(io.BytesIO):
    """Where lines of the log go."""

    def close(self) -> None:
        self.lines = [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.mark.parametrize("mode", LogMode)
def test_a_denial_is_logged_and_counted_like_any_other(mode: LogMode) -> None:
    lines, counters = Lines(), Counters()
    log = DecisionLog(lines, Recorder(b"k" * 32), mode=mode, one_in=1000, counters=counters)
    world = World(Freshness(default=DENY), log=log)
    world.now += 10_001

    got = world.ask()
    log.close()

    (line,) = lines.lines
    assert line["decision_id"] == got["decision_id"]
    assert (line["decision"], line["reason"], line["rules"]) == ("deny", "stale", [])
    assert (log.counts.decided, log.counts.logged) == (1, 1)
    assert world.service.metrics.counts().decisions == {("payments", "stale"): 1}


def test_what_is_refused_is_no_decision_and_not_logged() -> None:
    lines, counters = Lines(), Counters()
    log = DecisionLog(lines, Recorder(b"k" * 32), mode=LogMode.DROP, counters=counters)
    world = World(Freshness(default=REFUSE), log=log)
    world.now += 10_001

    world.ask()
    log.close()

    assert (lines.lines, log.counts.decided, world.service.metrics.counts().decisions) == ([], 0, {})


def test_limits_may_be_replaced_between_two_questions() -> None:
    world = World(UNLIMITED)
    world.now += 10_001
    shapes: list[Callable[[], Freshness]] = [
        lambda: Freshness(default=DENY), lambda: Freshness(default=REFUSE), lambda: UNLIMITED,
    ]  # fmt: skip

    found = []
    for make in shapes:
        world.service.freshness = make()
        found.append(shape(world.ask()))

    assert found == [("deny", "stale"), ("error", "stale"), ("allow", "allowed")]
