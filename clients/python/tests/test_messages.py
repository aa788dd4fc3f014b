"""Messages say no less to us than they hold: what we do not know is never left out in silence."""

import pytest

from pdp_client.answers import decision_of
from pdp_client.decision import Decision
from pdp_client.errors import UnreadableAnswerError
from pdp_client.transports.messages import answer_body
from pdp_client.v1 import decision_pb2 as v1

UNKNOWN = b"\xfa\x06\x01x"  # field 111, a text


def answer(**what: object) -> v1.Answer:
    usual = {
        "decision": v1.DECISION_ALLOW,
        "reason": v1.REASON_ALLOWED,
        "enforced": True,
        "decision_id": "01M7YZMHG0ZJV5JYCZY33SZZN6",
        "revision": "r",
        "max_age_ms": 5000,
        "reuse": v1.REUSE_COUNTED,
        "region": region(),
    }
    return v1.Answer(**{**usual, **what})


def region(**what: object) -> v1.Region:
    steps = [
        v1.Step(segment="a"),
        v1.Step(any=v1.AnySegment()),
        v1.Step(excluding=v1.Excluding(segments=["b"])),
    ]
    return v1.Region(**{"service": "s", "path": steps, **what})


def read(message: v1.Answer) -> Decision:
    return decision_of(answer_body(message))


def with_more(message: object) -> object:
    """The message with a field that nobody knows."""
    return type(message).FromString(message.SerializeToString() + UNKNOWN)


def test_an_answer_is_read() -> None:
    found = read(answer())
    assert found.allowed
    assert found.region is not None


def test_an_answer_may_say_more_than_we_know() -> None:
    assert read(with_more(answer())).allowed


@pytest.mark.parametrize(
    "what",
    [
        {"decision": v1.DECISION_UNSPECIFIED},
        {"decision": 7},
        {"reason": v1.REASON_UNSPECIFIED},
        {"reason": 99},
        {"reason": v1.REASON_STALE},
        {"obligations": [v1.Obligation()]},
        {"obligations": [with_more(v1.Obligation(remove_header="x"))]},
        {"obligations": [v1.Obligation.FromString(UNKNOWN)]},
        {"obligations": [v1.Obligation(set_header=with_more(v1.Header(name="x", value="y")))]},
        {"revision": ""},
        {"max_age_ms": -1},
    ],
)
def test_an_allow_that_is_not_understood_in_full_is_none(what: dict) -> None:
    with pytest.raises(UnreadableAnswerError):
        read(answer(**what))


@pytest.mark.parametrize(
    "of",
    [
        with_more(region()),
        region(path=[v1.Step()]),
        region(path=[v1.Step.FromString(UNKNOWN)]),
        region(path=[with_more(v1.Step(segment="a"))]),
        region(path=[v1.Step(excluding=with_more(v1.Excluding()))]),
        region(path=[v1.Step(any=with_more(v1.AnySegment()))]),
        region(context=[v1.Attribute(name="x")]),
        region(context=[with_more(v1.Attribute(name="x", text="a"))]),
        region(context=[v1.Attribute(name="x", text="a"), v1.Attribute(name="x", text="b")]),
        region(evidence=["moon"]),
    ],
)
def test_a_region_that_says_what_is_not_known_is_that_of_one_request(of: v1.Region) -> None:
    found = read(answer(region=of))
    assert found.allowed
    assert found.region is None


@pytest.mark.parametrize("reuse", [v1.REUSE_UNSPECIFIED, v1.REUSE_NO, 9])
def test_reuse_of_another_kind_is_none(reuse: int) -> None:
    assert not read(answer(reuse=reuse)).counted
