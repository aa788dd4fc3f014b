"""Answers that are remembered and answers that are worked out anew are the same, whatever happens in between.

Both are asked of one service, with one clock: questions in JSON and as messages of gRPC, a few over and over,
while policies, the quarantine, the limits on staleness, what callers are known by, and the time change.
"""

import json
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pdp.adapters.answer import instant_text
from pdp.adapters.bad_question import BadQuestionError
from pdp.adapters.begun import Begun
from pdp.adapters.grpc.message_form import message_answers
from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.adapters.metrics_page import MetricsPage
from pdp.adapters.questions import Questions
from pdp.adapters.replies import Head, Reply
from pdp.adapters.single_answers import SingleAnswers
from pdp.identity.caller import Caller
from pdp.identity.quarantine.file import make_entry
from pdp.identity.quarantine.lists import NOBODY, Quarantine
from pdp.service.admission import Admission
from pdp.service.decision_service import DecisionService
from pdp.service.errors import CannotAnswerError, ServiceError
from pdp.store.bundle import make_bundle
from pdp.store.freshness import UNLIMITED, Freshness, Limit
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from tests.docs.application import PROXY, WEB, caller
from tests.docs.sets import NOW
from tests.e2e.grpc_calls import to_question

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
#: The same as messages; of two of them the last is none, and one has its fields in another order.
MESSAGES = [to_question(asked).SerializeToString() for asked in ASKED]
MESSAGES += [
    b"\xff",
    b"".join(v1.Question(**{part: value}).SerializeToString() for part, value in (
        ("service", "a"), ("path", "/v1/items/7"), ("method", "GET"),
        ("principal", v1.Principal(spiffe=WEB)),
    )),
]  # fmt: skip
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
ENOUGH = 3  # times: what is asked once is not remembered
LIMITS = [
    UNLIMITED,
    *(Freshness(default=Limit(max_staleness_ms=3000, refuse=refuse)) for refuse in (True, False)),
]


class World:
    """One service, and two ways to ask it."""

    def __init__(self, most: int) -> None:
        self.now, self.epoch, self.list = NOW, 1, NOBODY
        self.lines: list[Any] = []
        loader = Loader()
        first = loader.load(make_bundle({"a.policy": SETS[0].encode()}), now=NOW).snapshot
        assert first is not None
        self.publisher = Publisher(loader, first, on_event=lambda _: None, now=NOW)
        self.service = DecisionService(
            self.publisher, clock=lambda: self.now, quarantine=lambda: self.list,
            admission=Admission(in_flight=9, per_second=0, clock=lambda: 0.0, shed=lambda _: None),
            log=SimpleNamespace(blocks=True, has_room=lambda _=1: self.room, record=self.lines.append),
        )  # fmt: skip
        self.room = True
        self.remembering = Questions(self.service, remembered=most)
        self.forgetful = Questions(self.service, remembered=0)
        self.messages = tuple(message_answers(self.service, remembered) for remembered in (most, 0))

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
            self.logged(lambda way=way: shape(Begun(way.decide(HEAD, body, lambda: asking)).result))
            for way in (self.remembering, self.forgetful)
        )
        return first, second

    def both_as_messages(self, number: int, who: int) -> tuple[Any, Any]:
        asking, message = known_by(who, self.epoch), MESSAGES[number]
        first, second = (self.logged(lambda way=way: answered(way, asking, message)) for way in self.messages)
        return first, second

    def logged(self, ask: Callable[[], Any]) -> tuple[Any, list[Any]]:
        """What is answered, and what is logged of it but its own name."""
        self.lines.clear()
        answer = ask()
        return answer, [
            (
                entry.now,
                entry.caller,
                replace(entry.request, now=0),
                entry.decision,
                entry.revision,
                entry.quarantine,
            )
            for entry in self.lines
        ]


def answered(way: SingleAnswers, asking: Caller, message: bytes) -> Any:
    """All of an answer but its own name, and how long it is: so nothing stands there twice."""
    coroutine = way.answer(asking, message)
    try:
        data = way.again(asking, message)
        if data is None:
            coroutine.send(None)
    except StopIteration as end:
        data = end.value
    except (BadQuestionError, ServiceError) as error:
        return error.code, error.message
    finally:
        coroutine.close()
    answer = v1.Answer.FromString(data)
    answer.ClearField("decision_id")
    return len(data), answer


def shape(reply: Reply | None) -> Any:
    """All of a reply but the answer's own name."""
    assert reply is not None, "nothing is waited for"
    found = json.loads(reply.body)
    found.pop("decision_id", None)
    # The order of members is part of the text.
    return reply.status, reply.headers, list(found.items())


CHANGES = ("edited", "confirmed", "trust", "quarantined", "listed", "limited")
EVENTS = st.one_of(
    st.tuples(st.just("later"), st.sampled_from([-1500, -1, 0, 1, 500, 1000, 2000, 2500, 4000])),
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
        for both in (world.both, world.both_as_messages):
            for _ in range(ENOUGH):
                remembered, anew = both(what, who)
                assert remembered == anew


STORIES: dict[str, list[tuple[str, int]]] = {
    "nothing": [],
    "a rule ends": [("later", 1999), ("later", 1), ("later", 1)],
    "the clock is set back": [("later", -1), ("later", 1), ("later", 1999), ("later", -2), ("later", 3)],
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
def test_every_question_is_answered_alike_from_memory(story: str, policies: int) -> None:
    world = World(1000)
    for event, what in [("edited", policies), *STORIES[story]]:
        world.do(event, what)
        for who in range(len(CALLERS)):
            for number in range(len(BODIES)):
                for both in (world.both, world.both_as_messages):
                    for _ in range(ENOUGH):
                        remembered, anew = both(number, who)
                        assert remembered == anew, (event, what, BODIES[number])


def test_what_was_asked_twice_is_answered_from_memory() -> None:
    """Else the two ways above would be one."""
    world, asking = World(100), known_by(0, 1)
    remembering, forgetful = world.messages
    for _ in range(2):
        assert remembering.again(asking, MESSAGES[0]) is None
        assert answered(remembering, asking, MESSAGES[0]) == answered(forgetful, asking, MESSAGES[0])

    assert remembering.again(asking, MESSAGES[0]) is not None
    assert forgetful.again(asking, MESSAGES[0]) is None


def ask(world: World, asking: Caller, *numbers: int) -> None:
    for number in numbers:
        answered(world.messages[0], asking, MESSAGES[number])


def test_what_was_not_asked_for_longest_is_let_go_alone() -> None:
    world, asking = World(3), known_by(0, 1)
    ask(world, asking, 0, 0, 1, 1, 2, 2)
    assert world.messages[0].again(asking, MESSAGES[0]) is not None

    ask(world, asking, 3, 3)

    left = [world.messages[0].again(asking, MESSAGES[number]) is not None for number in range(4)]
    assert left == [True, False, True, True]


def test_after_a_change_of_policies_what_was_asked_before_is_remembered_at_once() -> None:
    world, asking = World(100), known_by(0, 1)
    ask(world, asking, 0, 0)
    world.do("edited", 1)
    assert world.messages[0].again(asking, MESSAGES[0]) is None

    ask(world, asking, 0)

    assert world.messages[0].again(asking, MESSAGES[0]) is not None


def test_a_stream_of_questions_that_are_asked_once_leaves_nothing_behind() -> None:
    """Paths with ids in them are asked once: they push out nothing that is asked again."""
    world, asking = World(2), known_by(0, 1)
    ask(world, asking, 0, 0)

    ask(world, asking, 1, 2, 3, 4, 5, 6)

    assert world.messages[0].again(asking, MESSAGES[0]) is not None


def test_versions_that_are_served_no_more_are_not_kept_for_what_is_remembered() -> None:
    """A frozen object is not listed by the collector, so references are counted."""
    counts = []
    for asked in (), (0, 0, 0, 1, 1, 1):
        world = World(100)
        world.do("edited", 1)
        ask(world, known_by(0, 1), *asked)
        old = world.service.versions.current
        for number in (2, 3):
            world.do("edited", number)
        world.lines.clear()
        counts.append([sys.getrefcount(each) for each in (old, old.snapshot, old.snapshot.index)])

    assert counts[0] == counts[1]


def test_an_answer_whose_line_has_no_room_in_the_log_goes_the_long_way() -> None:
    world, asking = World(100), known_by(0, 1)
    ask(world, asking, 0, 0)
    assert world.messages[0].again(asking, MESSAGES[0]) is not None

    world.room = False

    assert world.messages[0].again(asking, MESSAGES[0]) is None


def test_who_is_refused_for_the_age_of_the_policies_is_metered_and_counted_once() -> None:
    world, asking = World(100), known_by(0, 1)
    world.service.freshness = LIMITS[1]
    ask(world, asking, 0, 0, 0)
    metered: list[str] = []
    admission = world.service.admission
    admission.enter = lambda who, _=1: metered.append(who)  # type: ignore[method-assign]
    admission.leave = lambda _=1: None  # type: ignore[method-assign]
    world.do("later", 3001)

    with pytest.raises(CannotAnswerError):
        world.messages[0].again(asking, MESSAGES[0])

    assert metered == [asking.id]
    page = MetricsPage(world.service, readers=frozenset(), expiries=tuple).render()
    assert b'pdp_questions_refused_total{code="stale"} 1' in page
