"""Answers that are remembered and answers that are worked out anew are the same, whatever happens in between.

Both are asked of one service, with one clock: questions in JSON, a few over and over, while policies, the
quarantine, the limits on staleness, what callers are known by, and the time change.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.adapters.answer import instant_text
from pdp.adapters.begun import Begun
from pdp.adapters.questions import Questions
from pdp.adapters.replies import Head, Reply
from pdp.identity.caller import Caller
from pdp.identity.quarantine.file import make_entry
from pdp.identity.quarantine.lists import NOBODY, Quarantine
from pdp.service.admission import Admission
from pdp.service.decision_service import DecisionService
from pdp.store.bundle import make_bundle
from pdp.store.freshness import UNLIMITED, Freshness, Limit
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from tests.docs.application import PROXY, WEB, caller
from tests.docs.sets import NOW

OTHER = WEB.replace("/web", "/api")
SETS = [
    f"""language 1
trust domain prod = "prod.example.org"
service a {{
    allow prod/ns/checkout/sa/web to GET /v1/items/{{id}}
    allow prod/** to GET /v1/hours from 2026-01-01 until {until} reuse at most 3s
    allow prod/** to GET /v1/in when header.x-env in {{ "live", "%d%b" }}
    {rule}
}}
service b observe until 2100-01-01 {{ deny prod/** to any /v1/items/100%C3%A9 }}
caller prod/ns/mesh/sa/proxy fronts any service may assert any principal of prod {more}
caller prod/ns/mesh/sa/other fronts b may assert any principal of prod supplies header
"""
    for until in (instant_text(NOW + 2000), "2100-01-01")
    for rule, more in (
        ("deny prod/ns/checkout/sa/api to any /v1/**", "supplies header"),
        ("shadow allow prod/** to POST /v1/items", "may explain"),
    )
]
ENV = "header.x-env"
HEAD = Head("POST", b"/v1/decide", [])
ASKED = [
    {"principal": principal, "service": service, "method": method, "path": path, **more}
    for principal in (WEB, OTHER)
    for service in "abc"
    for method, path in (
        ("GET", "/v1/items/7"), ("GET", "/v1/hours"), ("POST", "/v1/items"), ("GET", "/v1/%2e%2e/x"),
        ("GET", "/v1/items/100%C3%A9"),
    )
    for more in ({}, {"context": {ENV: "live"}})
] + [
    *(
        {"principal": WEB, "service": "a", "method": "GET", "path": "/v1/in", "context": {ENV: env}}
        for env in ("live", "%d%b", "%(a)s")
    ),
    {"principal": WEB, "service": "a", "method": "GET", "path": "/v1/hours", "explain": True},
    {"principal": WEB, "service": "a", "method": "GET", "path": "/v1/hours\n"},
    {"principal": "nobody", "service": "a", "method": "GET", "path": "/v1/hours"},
]  # fmt: skip
BODIES = [json.dumps(asked).encode() for asked in ASKED] + [b"{", json.dumps(ASKED[0]).encode() + b" "]
CALLERS = [
    caller(PROXY, NOW + 10**9),
    caller(PROXY, NOW + 5000),
    caller(PROXY.replace("/proxy", "/other"), NOW + 10**9),
    caller(PROXY.replace("/proxy", "/nobody"), NOW + 10**9),
]


def known_by(number: int, epoch: int) -> Caller:
    """Each has a certificate of its own; trust of another epoch makes another caller of it."""
    found = CALLERS[number]
    return Caller(
        kind=found.kind, id=found.id, trust_domain=found.trust_domain, segments=found.segments,
        fingerprint=f"{number:064}", not_after=found.not_after, epoch=epoch, serial=f"0{number}",
    )  # fmt: skip


def listed(*named: tuple[str, str], since: int) -> Quarantine:
    entries = (
        make_entry({kind: value}, who="ops", why="it leaked", since=since, until=since + 4000)
        for kind, value in named
    )
    return Quarantine(tuple(entries))


QUARANTINES: list[tuple[tuple[str, str], ...]] = [
    (),
    (("spiffe_id", WEB),),
    (("spiffe_id", PROXY),),
    (("spiffe_id", f"{OTHER}x"),),
    (("spiffe_id", WEB), ("spiffe_id", OTHER)),
]
LIMITS = [
    UNLIMITED,
    *(Freshness(default=Limit(max_staleness_ms=3000, refuse=refuse)) for refuse in (True, False)),
]


class World:
    """One service, and two ways to ask it."""

    def __init__(self, most: int) -> None:
        self.now, self.epoch, self.list = NOW, 1, NOBODY
        loader = Loader()
        first = loader.load(make_bundle({"a.policy": SETS[0].encode()}), now=NOW).snapshot
        assert first is not None
        self.publisher = Publisher(loader, first, on_event=lambda _: None, now=NOW)
        self.service = DecisionService(
            self.publisher, clock=lambda: self.now, quarantine=lambda: self.list,
            admission=Admission(in_flight=9, per_second=0, clock=lambda: 0.0, shed=lambda _: None),
        )  # fmt: skip
        self.remembering = Questions(self.service, remembered=most)
        self.forgetful = Questions(self.service, remembered=0)

    def do(self, event: str, what: int) -> None:
        match event:
            case "later":
                self.now += what
            case "edited":
                self.publisher.offer(make_bundle({"a.policy": SETS[what % len(SETS)].encode()}), self.now)
            case "confirmed":
                self.publisher.confirm(self.now)
            case "trust":
                self.epoch += 1
                self.publisher.restate(f"roots {what}")
            case "quarantined":
                self.list = listed(*QUARANTINES[what % len(QUARANTINES)], since=self.now)
                self.publisher.restate(f"list {what} {self.now}")
            case "listed":
                self.list = listed(*QUARANTINES[what % len(QUARANTINES)], since=self.now)
            case "limited":
                self.service.freshness = LIMITS[what % len(LIMITS)]

    def both(self, number: int, who: int) -> tuple[Any, Any]:
        asking, body = known_by(who, self.epoch), BODIES[number]
        first, second = (
            Begun(way.decide(HEAD, body, lambda: asking)).result for way in (self.remembering, self.forgetful)
        )
        return shape(first), shape(second)


def shape(reply: Reply | None) -> Any:
    """All of a reply but the answer's own name."""
    assert reply is not None, "nothing is waited for"
    found = json.loads(reply.body)
    found.pop("decision_id", None)
    # The order of members is part of the text.
    return reply.status, reply.headers, list(found.items())


CHANGES = ("edited", "confirmed", "trust", "quarantined", "listed", "limited")
EVENTS = st.one_of(
    st.tuples(st.just("later"), st.sampled_from([0, 1, 500, 1000, 2000, 2500, 4000])),
    st.tuples(
        st.sampled_from(["edited", "confirmed", "trust", "quarantined", "listed", "limited"]),
        st.integers(0, 5),
    ),
    st.tuples(st.just("asked"), st.integers(0, len(BODIES) - 1)),
    st.tuples(st.just("asked"), st.integers(0, 5)),
)


@given(
    most=st.sampled_from([2, 4, 100]),
    events=st.lists(st.tuples(EVENTS, st.integers(0, len(CALLERS) - 1)), max_size=40),
)
@settings(max_examples=300, deadline=None)
def test_what_is_remembered_is_what_would_be_worked_out(
    most: int, events: list[tuple[tuple[str, int], int]]
) -> None:
    world = World(most)
    for (event, what), who in events:
        if event != "asked":
            world.do(event, what)
            continue
        for _ in range(2):
            remembered, anew = world.both(what, who)
            assert remembered == anew


STORIES: dict[str, list[tuple[str, int]]] = {
    "nothing": [],
    "a rule ends": [("later", 1999), ("later", 1), ("later", 1)],
    "a certificate ends": [("later", 5000), ("later", 1)],
    "another version, and back": [("edited", 1), ("edited", 0), ("edited", 2)],
    "stale, and denied": [("limited", 1), ("later", 3000), ("later", 1), ("confirmed", 0), ("later", 3001)],
    "stale, and refused": [("limited", 2), ("later", 3000), ("later", 1), ("confirmed", 0)],
    "quarantined, and over": [("quarantined", 1), ("later", 3999), ("later", 1), ("quarantined", 4)],
    "a caller is quarantined": [("quarantined", 2), ("later", 4000)],
    "a list that nobody told of": [("listed", 1), ("listed", 3), ("listed", 2), ("listed", 0), ("later", 1)],
    "other trust": [("trust", 1), ("trust", 2)],
}


@pytest.mark.parametrize("policies", range(len(SETS)))
@pytest.mark.parametrize("story", STORIES)
def test_every_question_is_answered_alike_a_second_time(story: str, policies: int) -> None:
    world = World(1000)
    for event, what in [("edited", policies), *STORIES[story]]:
        world.do(event, what)
        for who in range(len(CALLERS)):
            for number in range(len(BODIES)):
                for _ in range(2):
                    remembered, anew = world.both(number, who)
                    assert remembered == anew, (event, what, BODIES[number])
