"""Answers are read in full, or are none: nothing that is not understood becomes an allow."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp_client.answers import read_answer, read_batch, read_error
from pdp_client.decision import Decision, RemoveHeader, SetHeader
from pdp_client.errors import BadQuestionError, NotPermittedError, ServiceError, UnreadableAnswerError
from pdp_client.region import Excluding

REGION = {
    "service": "s",
    "principal": None,
    "method": "GET",
    "path": ["v1", None, {"not": ["x"], "not_prefix": ["p"], "not_suffix": ["q"]}],
    "rest": True,
    "context": {"source.ip": "10.0.0.1", "header.x-a": ["1"], "request.port": 443, "user.sub": None},
}
ANSWER: dict[str, Any] = {
    "decision": "allow",
    "reason": "allowed",
    "enforced": True,
    "rules": [{"name": "s/r", "at": "f:1"}],
    "decision_id": "01M7YZMHG0ZJV5JYCZY33SZZN6",
    "revision": "80b3",
    "age_seconds": 0,
    "region": REGION,
    "max_age_ms": 5000,
    "valid_until": "2026-01-01T00:00:00.500Z",
    "obligations": [{"set_header": "x-plan", "value": "shop"}, {"remove_header": "x-debug"}],
    "reuse": "counted",
}


def read(**what: Any) -> Decision:
    body = {key: value for key, value in {**ANSWER, **what}.items() if value is not ...}
    return read_answer(json.dumps(body).encode())


def test_an_allow_is_read_in_full() -> None:
    found = read()
    assert found.allowed
    assert found.obligations == (SetHeader("x-plan", "shop"), RemoveHeader("x-debug"))
    assert found.region is not None
    assert found.region.path == ("v1", None, Excluding(("x",), ("p",), ("q",)))
    assert found.valid_until == 1767225600.5
    assert found.counted


@pytest.mark.parametrize(
    "what",
    [
        {"decision": "ALLOW"},
        {"decision": "allow_some"},
        {"decision": None},
        {"decision": ...},
        {"decision": True},
        {"decision": 1},
        {"reason": "denied_by_rule"},
        {"reason": "allowed_by_moon"},
        {"reason": ...},
        {"enforced": "yes"},
        {"obligations": ...},
        {"obligations": None},
        {"obligations": [{}]},
        {"obligations": [{"audit": "x"}]},
        {"obligations": ["x"]},
        {"obligations": [{"set_header": "x"}]},
        {"obligations": [{"remove_header": "x", "if": "y"}]},
        {"obligations": [{"set_header": "x", "value": "y", "append": True}]},
        {"obligations": [{"set_header": "x", "value": 1}]},
        {"obligations": [{"set_header": "x y", "value": "z"}]},
        {"obligations": [{"set_header": "x", "value": "a\r\nb: c"}]},
        {"obligations": [{"remove_header": ""}]},
        {"obligations": [{"set_header": "x", "value": "a"}, {"remove_header": "X"}]},
        {"revision": ""},
        {"decision_id": ""},
        {"decision_id": "1"},
        {"decision_id": "01m7yzmhg0zjv5jyczy33szzn6"},
        {"decision_id": "81M7YZMHG0ZJV5JYCZY33SZZN6"},
        {"decision_id": "01M7YZMHG0ZJV5JYCZY33SZZN6\n"},
        {"max_age_ms": 10**400},
        {"max_age_ms": 2**63},
        {"valid_until": "0001-01-01T00:00:00+23:59"},
        {"valid_until": "9999-12-31T23:59:59-23:59"},
        {"revision": ...},
        {"max_age_ms": -1},
        {"max_age_ms": "5"},
        {"max_age_ms": 1.5},
        {"max_age_ms": True},
        {"max_age_ms": ...},
        {"valid_until": "tomorrow"},
        {"valid_until": "2026-01-01T00:00:00"},
        {"valid_until": ...},
        {"region": ...},
        {"region": "all"},
        {"rules": [{"name": 1, "at": ""}]},
        {"age_seconds": ...},
        {"reuse": ...},
    ],
)
def test_an_allow_that_is_not_understood_in_full_is_none(what: dict[str, Any]) -> None:
    with pytest.raises(UnreadableAnswerError):
        read(**what)


@pytest.mark.parametrize("what", [{"reason": "because"}, {"obligations": [{"audit": "x"}]}])
def test_a_deny_for_whatever_reason_is_a_deny(what: dict[str, Any]) -> None:
    assert not read(decision="deny", **what).allowed


def test_an_answer_may_say_more_than_we_know() -> None:
    assert read(weather="fine").allowed


@pytest.mark.parametrize(
    "region",
    [
        {**REGION, "weather": "fine"},
        {**REGION, "path": [{"not": [], "only": ["x"]}]},
        {**REGION, "path": [1]},
        {**REGION, "path": [{"not": "x"}]},
        {**REGION, "evidence": ["moon"]},
        {**REGION, "rest": None},
        {**REGION, "context": {"a": {"b": 1}}},
        {**REGION, "context": {"a": 1.5}},
        {},
        {key: value for key, value in REGION.items() if key != "method"},
    ],
)
def test_a_region_that_says_what_is_not_known_is_that_of_one_request(region: dict[str, Any]) -> None:
    assert read(region=region).allowed
    assert read(region=region).region is None


def test_reuse_of_another_kind_is_none() -> None:
    assert not read(reuse="often").counted
    assert not read(reuse="no").counted


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"allow"',
        b"\xff",
        b"{}",
        b"[" * 100_000,
        b'{"a":NaN}',
        json.dumps(ANSWER).replace('"allow"', '"deny", "decision": "allow"').encode(),
        json.dumps({**ANSWER, "shadow": {"a": [[[[]]] * 2]}})
        .replace("[[[[]]", "[" * 40 + "]" * 40 + ",[[[]]")
        .encode(),
    ],
)
def test_what_is_no_answer_is_told_as_such(body: bytes) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_answer(body)


@given(st.data())
def test_whatever_is_altered_in_an_allow_raises_or_is_read(data: st.DataObject) -> None:
    """Any value in any place: no other exception comes out, and what is read holds what was sent."""
    name = data.draw(st.sampled_from(list(ANSWER)))
    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=4,
    )
    value = data.draw(json_values)
    try:
        found = read(**{name: value})
    except UnreadableAnswerError:
        return
    assert found.allowed is (name != "decision" or value == "allow")
    assert [type(duty) for duty in found.obligations] == (
        [] if name == "obligations" else [SetHeader, RemoveHeader]
    )


def test_a_batch_has_errors_where_there_are_no_answers() -> None:
    error = {"error": {"code": "service_not_permitted", "message": "no"}}
    late = {"error": {"code": "stale", "message": "no"}}
    odd = {"error": {"code": "wrong_type", "message": "no"}}
    bad = {**ANSWER, "decision": "maybe"}
    found = read_batch(json.dumps({"answers": [ANSWER, error, late, odd, bad, {"error": 1}]}).encode(), 6)
    assert isinstance(found[0], Decision)
    assert [type(each) for each in found[1:]] == [
        NotPermittedError,
        ServiceError,
        BadQuestionError,
        UnreadableAnswerError,
        UnreadableAnswerError,
    ]


@pytest.mark.parametrize("body", [{"answers": []}, {"answers": [ANSWER, ANSWER]}, {"answers": None}, []])
def test_a_batch_of_another_length_is_none(body: object) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_batch(json.dumps(body).encode(), 1)


def test_an_error_that_cannot_be_read_has_a_code_all_the_same() -> None:
    assert read_error(b'{"error":{"code":"stale","message":"m"}}') == ("stale", "m")
    assert read_error(b"<html>")[0] == "unknown"


def test_a_decision_has_no_truth_of_its_own() -> None:
    with pytest.raises(TypeError, match="allowed"):
        bool(read(decision="deny"))
