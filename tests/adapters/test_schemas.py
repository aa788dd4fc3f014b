"""The question and the answer: what they may hold, and what each mistake is called."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.adapters.schemas import (
    Answer,
    BadQuestionError,
    Question,
    error_body,
    to_answer,
    to_request,
)
from pdp.adapters.strict_json import BadJsonError, decode
from pdp.compiler import attributes
from pdp.engine.decide import decide
from pdp.engine.explain import explain
from pdp.limits import (
    MAX_CONTEXT_ATTRIBUTES,
    MAX_PATH_BYTES,
    MAX_REVISION_CHARS,
    MAX_SERVICE_NAME_CHARS,
    MAX_SPIFFE_ID_BYTES,
)
from pdp.principals import ANONYMOUS, PrincipalKind
from pdp.vocabulary import (
    Decision,
    Effect,
    Excluding,
    Obligation,
    ObligationKind,
    Reason,
    Region,
    Request,
    ShadowOutcome,
    User,
)
from tests.cli.example import CHECKOUT, FRONTEND, NOW, POLICY, snapshot

INDEX = snapshot().index
ASKED = {"principal": CHECKOUT, "service": "payments", "method": "GET", "path": "/v1/charges/41"}
SUPPLIED = frozenset({"source", "header"})


def question(**changed: Any) -> Question:
    body = {name: value for name, value in {**ASKED, **changed}.items() if value is not ...}
    return decode(json.dumps(body).encode(), Question, max_bytes=100_000)


def request(**changed: Any) -> Request:
    return to_request(question(**changed), INDEX, SUPPLIED, NOW)


def refusal(**changed: Any) -> tuple[str, str]:
    with pytest.raises((BadQuestionError, BadJsonError)) as caught:
        request(**changed)
    assert caught.value.message.isprintable()
    assert str(caught.value) == caught.value.message
    return caught.value.code, caught.value.message


# -- the question ----------------------------------------------------------------------


def test_the_question_of_the_documentation_becomes_a_request() -> None:
    found = request(user=None, context={"source.ip": "10.1.2.3"}, at_least=None)

    assert found == Request(
        principal=found.principal,
        service="payments",
        method="GET",
        path="/v1/charges/41",
        now=NOW,
        user=None,
        context={"source.ip": "10.1.2.3"},
        supplied=SUPPLIED,
    )
    assert found.principal.id == CHECKOUT
    assert found.principal.segments == ("ns", "checkout", "sa", "web")


@pytest.mark.parametrize(
    ("given", "kind", "id_"),
    [
        (CHECKOUT, PrincipalKind.SPIFFE, CHECKOUT),
        ({"spiffe": CHECKOUT}, PrincipalKind.SPIFFE, CHECKOUT),
        ({"dns": "VM.example.org."}, PrincipalKind.DNS, "dns:vm.example.org"),
        ({"anonymous": True}, PrincipalKind.ANONYMOUS, ANONYMOUS.id),
    ],
)
def test_a_principal_is_a_spiffe_id_or_says_its_kind(given: Any, kind: PrincipalKind, id_: str) -> None:
    principal = request(principal=given).principal

    assert (principal.kind, principal.id) == (kind, id_)


LONG_ID = "spiffe://a.test/" + "x" * (MAX_SPIFFE_ID_BYTES - len("spiffe://a.test/"))
BAD_PRINCIPALS = {
    "missing": (..., "missing_field", "`principal` is missing"),
    "null": (None, "wrong_type", "`principal`: expected a string or an object, got null"),
    "a number": (7, "wrong_type", "`principal`"),
    "empty": ("", "invalid_principal", "begins with `spiffe://`"),
    "anonymous as text": ("anonymous", "invalid_principal", "written as an object"),
    "DNS as text": ("dns:vm.example.org", "invalid_principal", "written as an object"),
    "upper-case scheme": ("SPIFFE://a.test/x", "invalid_principal", "lower case"),
    "trust domain only": ("spiffe://a.test", "invalid_principal", "no path"),
    "dot segment": ("spiffe://a.test/a/../b", "invalid_principal", "dot segment"),
    "too long": (LONG_ID + "x", "invalid_principal", "at most"),
    "NUL": ("spiffe://a.test/\0", "nul_character", "NUL"),
    "line feed": ("spiffe://a.test/x\n", "invalid_principal", "a control character"),
    "C1 control": ("spiffe://a.test/x\x85", "invalid_principal", "a control character"),
    "lone surrogate": ("spiffe://a.test/\ud800", "lone_surrogate", "surrogate"),
    "nothing": ({}, "invalid_principal", "exactly one of"),
    "two": ({"spiffe": CHECKOUT, "dns": "a"}, "invalid_principal", "exactly one of"),
    "null inside": ({"spiffe": None}, "wrong_type", "`principal.spiffe`"),
    "unknown kind": ({"email": "a@b"}, "unknown_field", "the field `email` of `principal` is not known"),
    "a token": ({"jwt": "e30.e30."}, "evidence_refused", "not verified here"),
    "not anonymous": ({"anonymous": False}, "invalid_principal", "can only be true"),
    "a wildcard": ({"dns": "*.example.org"}, "invalid_principal", "host name"),
    "bad SPIFFE ID inside": ({"spiffe": "x"}, "invalid_principal", "`principal.spiffe`"),
}


@pytest.mark.parametrize("case", BAD_PRINCIPALS)
def test_a_principal_that_is_none_is_refused_by_name(case: str) -> None:
    given, code, said = BAD_PRINCIPALS[case]

    found, message = refusal(principal=given)

    assert found == code
    assert said in message


def test_the_longest_spiffe_id_is_accepted() -> None:
    assert request(principal=LONG_ID).principal.id == LONG_ID


BY_HOST = {"service": ..., "host": "payments.shop.svc"}


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"service": ...}, "service_or_host", "neither is given"),
        ({"service": None}, "service_or_host", "neither is given"),
        ({"host": "payments.shop.svc"}, "service_or_host", "both are given"),
        ({"service": ""}, "invalid_service", "empty"),
        ({"service": "x" * (MAX_SERVICE_NAME_CHARS + 1)}, "invalid_service", "more than"),
        ({"service": "pay\tments"}, "invalid_service", "a control character"),
        ({"service": ..., "host": ""}, "invalid_host", "not a host name"),
        ({"service": ..., "host": "a b"}, "invalid_host", "not a host name"),
        ({"service": ..., "host": "a:0"}, "invalid_host", "port"),
        ({"service": ..., "host": "user@a"}, "invalid_host", "not a host name"),
        ({"context": {"header.host": ["a.test", "b.test"]}}, "conflicting_hosts", "one host"),
        ({"context": {"header.host": ["a.test", "a.test,b.test"]}}, "conflicting_hosts", "one host"),
        ({"context": {"header.host": "a.test", "request.host": "b.test"}}, "conflicting_hosts", "one host"),
        (
            {"context": {"header.host": "a.test:1", "request.host": "a.test:2"}},
            "conflicting_hosts",
            "one host",
        ),
        (BY_HOST | {"context": {"request.host": "other.shop.svc"}}, "conflicting_hosts", "one host"),
        (BY_HOST | {"context": {"header.host": "other.shop.svc"}}, "conflicting_hosts", "one host"),
        (BY_HOST | {"context": {"header.host": "a b"}}, "conflicting_hosts", "one host"),
        ({"method": ...}, "missing_field", "`method`"),
        ({"method": "GET\r"}, "invalid_method", "a control character"),
        ({"path": ...}, "missing_field", "`path`"),
        ({"path": "/" + "x" * 2 * MAX_PATH_BYTES}, "path_too_long", "more than"),
        ({"user": {}}, "missing_field", "the field `issuer` of `user` is missing"),
        ({"user": {"issuer": "", "subject": "al"}}, "invalid_user", "`user.issuer` is empty"),
        ({"user": {"issuer": "x", "subject": ""}}, "invalid_user", "`user.subject` is empty"),
        ({"user": {"issuer": "x", "subject": "y", "groups": "g"}}, "wrong_type", "`user.groups`"),
        ({"user": {"issuer": "x", "subject": "y", "email": "z"}}, "unknown_field", "`email`"),
        ({"at_least": ""}, "invalid_revision", "1 to"),
        ({"at_least": "x" * (MAX_REVISION_CHARS + 1)}, "invalid_revision", "1 to"),
        ({"at_least": "a\x1b[2J"}, "invalid_revision", "a control character"),
        ({"at_least": 3}, "wrong_type", "`at_least`"),
        ({"explain": "yes"}, "wrong_type", "`explain`: expected true or false"),
        ({"explain": None}, "wrong_type", "`explain`"),
        ({"context": None}, "wrong_type", "`context`: expected an object"),
        ({"context": []}, "wrong_type", "`context`"),
        ({"caller": CHECKOUT}, "unknown_field", "the field `caller` is not known"),
        ({"now": 5}, "unknown_field", "`now`"),
    ],
)
def test_each_mistake_has_its_code(changed: dict[str, Any], code: str, said: str) -> None:
    found, message = refusal(**changed)

    assert found == code
    assert said in message


def test_the_bounds_themselves_are_accepted() -> None:
    found = request(
        service="x" * MAX_SERVICE_NAME_CHARS,
        path="/" + "x" * (2 * MAX_PATH_BYTES - 1),
        at_least="x" * MAX_REVISION_CHARS,
        context={f"x.a{number}": 1 for number in range(MAX_CONTEXT_ATTRIBUTES)},
    )

    assert decide(INDEX, found).reason is Reason.AMBIGUOUS_PATH


@pytest.mark.parametrize(
    "changed",
    [
        BY_HOST
        | {"context": {"request.host": "Payments.shop.svc.", "header.host": ["payments.shop.svc:8443"]}},
        {"context": {"request.host": "a.test", "header.host": "A.test:8443"}},
        {"context": {"header.host": "a b"}},  # one value contradicts nothing: rules read it as it is
        {"context": {"request.host": "a.test", "header.host": None}},
    ],
)
def test_a_host_may_be_said_more_than_once_if_it_is_one(changed: dict[str, Any]) -> None:
    assert request(**changed).service == "payments"


@pytest.mark.parametrize("host", ["payments.shop.svc", "PAYMENTS.shop.svc.:8443"])
def test_a_host_stands_for_its_service(host: str) -> None:
    assert request(service=..., host=host).service == "payments"


@pytest.mark.parametrize("host", ["payments", "cart", "nobody.test:80", "[::1]"])
def test_a_host_of_no_service_is_asked_as_a_service_that_nobody_can_declare(host: str) -> None:
    """Not as a service of the host's name: `payments` is a service, but no service's host."""
    found = request(service=..., host=host)

    assert found.service not in INDEX.services
    assert found.service.startswith("//")
    assert decide(INDEX, found).reason is Reason.UNKNOWN_SERVICE
    with pytest.raises(AssertionError):
        snapshot(POLICY.replace("service cart", f'service "{found.service}"'))


def test_the_path_is_left_to_the_engine() -> None:
    for path in ("", "x", "/a/../b", "/\x01", "//"):
        assert decide(INDEX, request(path=path)).reason is Reason.AMBIGUOUS_PATH


def test_a_user_has_issuer_subject_and_groups() -> None:
    found = request(user={"issuer": "https://login.example.com", "subject": "al", "groups": ["a", "b"]})

    assert found.user == User(issuer="https://login.example.com", subject="al", groups=("a", "b"))


def test_lists_become_tuples_and_an_empty_one_is_absent() -> None:
    given = {"header.x-a": ["a", "b"], "header.x-b": [], "header.x-c": None, "user.level": 3}

    assert request(context=given).context == {
        "header.x-a": ("a", "b"), "header.x-b": None, "header.x-c": None, "user.level": 3
    }  # fmt: skip


def test_an_attribute_that_no_rule_can_read_is_ignored() -> None:
    assert request(context={"x": 1, "user.unknown": ["a"], "mesh.zone": None}).context == {}


@pytest.mark.parametrize(
    ("name", "value", "code", "said"),
    [
        ("source.ip", "10.0.0", "attribute_type", "`source.ip` is not of type `ip`"),
        ("source.ip", "fe80::1%eth0", "attribute_type", "`source.ip`"),
        ("source.ip", ["10.0.0.1"], "attribute_type", "`source.ip`"),
        ("request.port", "443", "attribute_type", "`request.port` is not of type `int`"),
        ("request.port", True, "attribute_type", "`request.port`"),
        ("user.email_verified", 1, "attribute_type", "`user.email_verified` is not of type `bool`"),
        ("user.level", "3", "attribute_type", "`user.level` is not of type `int`"),
        ("header.x-a", 5, "attribute_type", "`header.x-a` is not of type `strings`"),
        ("header.x-a", ["a", 5], "attribute_type", "`header.x-a` is no string"),
        ("header.x-a", {"a": 1}, "attribute_type", "`header.x-a` is no string"),
        ("header.x-a", 1.5, "attribute_type", "`header.x-a` is no string"),
        ("unknown", 1.5, "attribute_type", "`unknown` is no string"),
        ("unknown", [["a"]], "attribute_type", "`unknown` is no string"),
        ("user.level", 2**63, "number_out_of_range", "64-bit"),
        ("header.X-A", "a", "invalid_attribute", "`header.x-a`"),
        ("header.x_a", None, "invalid_attribute", "`header.x-a`"),
        ("header.", "a", "invalid_attribute", "`header.` is not an attribute"),
        ("header.X\u202e", "a", "invalid_attribute", r"\u{202e}"),
    ],
)
def test_an_attribute_of_the_wrong_type_is_refused_by_name(
    name: str, value: Any, code: str, said: str
) -> None:
    found, message = refusal(context={name: value})

    assert found == code
    assert said in message


def test_the_number_of_attributes_is_bounded() -> None:
    many = {f"x.a{number}": 1 for number in range(MAX_CONTEXT_ATTRIBUTES + 1)}

    assert refusal(context=many)[0] == "too_many_attributes"


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=2), max_leaves=4)
_NAMES = st.sampled_from([
    "source.ip", "header.x-a", "header.X", "user.level", "user.sub", "user.groups", "tls.sni", "x", "",
    "header.x-http-method-override", "user.email_verified", "request.port",
])  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    principal=st.sampled_from([CHECKOUT, {"anonymous": True}]) | st.text(max_size=20),
    service=st.sampled_from(["payments", "cart"]) | st.text(max_size=10),
    method=st.sampled_from(["GET", "POST", "get"]) | st.text(max_size=6),
    path=st.sampled_from(["/v1/me", "/admin/x"]) | st.text(max_size=12),
    context=st.dictionaries(_NAMES, _VALUES, max_size=4),
)
def test_any_question_gets_a_decision_or_a_precise_refusal(**asked: Any) -> None:
    refused = ""
    try:
        answer = answered(request(**asked))
    except (BadQuestionError, BadJsonError) as error:
        refused = f"{error.code}{error.message}"
    else:
        assert decode(msgspec.json.encode(answer), Answer, max_bytes=100_000) == answer

    assert refused.isprintable()


# -- the answer ------------------------------------------------------------------------


def answered(asked: Request, decision: Decision | None = None, **changed: Any) -> Answer:
    given = {
        "revision": "9f2c",
        "age_seconds": 3,
        "decision_id": "01J",
        "max_age_limit_ms": 5000,
        "may_explain": True,
    }
    return to_answer(decision or decide(INDEX, asked), asked, INDEX, **{**given, **changed})


def body(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(answer))
    return found


def test_an_allow_has_exactly_the_documented_shape() -> None:
    assert body(answered(request())) == {
        "decision": "allow",
        "reason": "allowed",
        "enforced": True,
        "rules": [{"name": "payments/charge-read", "at": "a.policy:10"}],
        "decision_id": "01J",
        "revision": "9f2c",
        "age_seconds": 3,
        "region": {
            "service": "payments",
            "principal": CHECKOUT,
            "method": "GET",
            "path": ["v1", "charges", None],
            "rest": False,
            "context": {},
        },
        "max_age_ms": 5000,
        "valid_until": None,
        "obligations": [],
        "reuse": "counted",
    }


def test_the_reason_of_a_rule_is_told_only_to_those_who_may_explain() -> None:
    asked = request(method="POST", path="/v1/charges")

    told = body(answered(asked))["rules"]
    untold = body(answered(asked, may_explain=False))["rules"]

    named = {"name": "payments/charge-create", "at": "a.policy:9"}
    assert told == [{**named, "because": "JIRA-1: [checkout] charges"}]
    assert untold == [named]


def test_a_default_deny_names_no_rule_and_has_a_region() -> None:
    found = body(answered(request(principal={"anonymous": True})))

    assert (found["decision"], found["reason"], found["rules"]) == ("deny", "no_rule_matched", [])
    assert found["region"]["principal"] == "anonymous"


def test_obligations_are_listed_and_a_reuse_limit_becomes_the_greatest_age() -> None:
    found = body(answered(request(principal=FRONTEND, service="cart", method="POST", path="/shop.Cart/Get")))

    assert found["obligations"] == [{"remove_header": "x-debug"}, {"set_header": "x-cart", "value": "1"}]
    assert found["max_age_ms"] == 2000


def test_what_depends_on_time_says_until_when() -> None:
    asked = request(principal=FRONTEND, service="cart", path="/office")

    found = body(answered(asked))

    assert (found["decision"], found["reason"], found["enforced"]) == ("allow", "observed", False)
    # The window opens on Monday the 23rd, long before the service is enforced.
    assert found["valid_until"] == "2026-11-23T09:00:00Z"


def test_a_shadow_outcome_is_given_only_where_it_differs() -> None:
    deleted = body(answered(request(method="DELETE")))
    read = body(answered(request()))

    assert deleted["decision"] == "allow"
    assert deleted["shadow"] == {
        "decision": "deny",
        "reason": "denied_by_rule",
        "rules": [{"name": "payments/no-deletes", "at": "a.policy:16"}],
    }
    assert "shadow" not in read


def test_an_explanation_is_given_where_one_was_made() -> None:
    asked = request(path="/v1/chargez/1")
    decision = decide(INDEX, asked)
    made = explain(INDEX, asked, decision)

    found = body(answered(asked, decision, explanation=made))

    assert "explanation" not in body(answered(asked, decision))
    assert found["explanation"]["considered"] == [
        {
            "rule": {"name": "payments/no-deletes", "at": "a.policy:16"},
            "effect": "deny",
            "shadow": True,
            "outcome": "other_method",
        }
    ]
    nearest = found["explanation"]["nearest"]
    assert nearest["rule"] == {"name": "payments/charge-read", "at": "a.policy:10"}
    assert nearest["differences"] == [
        {"coordinate": "path", "given": "/v1/chargez/1", "wanted": "/v1/charges/{id}"}
    ]


def explanation_of(asked: Request) -> Any:
    decided = decide(INDEX, asked)
    return body(answered(asked, decided, explanation=explain(INDEX, asked, decided)))["explanation"]


def test_an_ambiguous_path_or_method_has_its_problem_in_the_explanation() -> None:
    assert explanation_of(request(path="/v1/../x")) == {
        "considered": [],
        "nearest": None,
        "problem": {"code": "dot_segment", "sentence": "it has a segment of nothing but dots"},
    }
    assert explanation_of(request(method="get"))["problem"]["code"] == "lower_case"


def test_how_a_path_was_read_is_told_where_it_differs() -> None:
    assert explanation_of(request(path="/v1/%63harges/41?x=1"))["reading"] == "/v1/charges/41"
    assert "reading" not in explanation_of(request(path="/v1/charges/41?x=1"))


def test_a_test_that_failed_has_its_truth() -> None:
    found = explanation_of(request(principal=FRONTEND, service="cart", path="/office"))

    (office,) = [entry for entry in found["considered"] if entry["outcome"] == "condition_false"]
    (difference,) = office["differences"]
    assert difference["coordinate"] == "time"
    assert difference["given"].startswith("now = 2026-11-2")
    assert difference["wanted"].startswith("during ")
    assert difference["truth"] == "false"


def test_no_explanation_leaves_for_those_who_may_not_explain() -> None:
    asked = request()
    decision = decide(INDEX, asked)

    with pytest.raises(ValueError, match="only for those who may explain"):
        answered(asked, decision, may_explain=False, explanation=explain(INDEX, asked, decision))


def decision(**changed: Any) -> Decision:
    given: dict[str, Any] = {
        "effect": Effect.ALLOW,
        "reason": Reason.ALLOWED,
        "enforced": True,
        "rules": (),
        "region": Region("payments", None, None, (), True, {}),
        "valid_until": None,
        "obligations": (),
        "shadow": None,
    }
    return Decision(**{**given, **changed})


def test_the_steps_of_a_region_are_written_as_documented() -> None:
    path = ("a", None, Excluding(("x", "y"), (), ()), Excluding((), ("p",), ("s",)), Excluding())
    context = {"user.groups": ("a", "b"), "source.ip": "10.0.0.1", "header.x": None, "n": 5, "b": True}

    found = body(answered(request(), decision(region=Region("s", None, None, path, True, context))))["region"]

    assert found == {
        "service": "s",
        "principal": None,
        "method": None,
        "path": ["a", None, {"not": ["x", "y"]}, {"not_prefix": ["p"], "not_suffix": ["s"]}, {}],
        "rest": True,
        "context": {"user.groups": ["a", "b"], "source.ip": "10.0.0.1", "header.x": None, "n": 5, "b": True},
    }


def reuse(millis: int) -> Obligation:
    return Obligation(ObligationKind.REUSE_AT_MOST, "", str(millis))


@pytest.mark.parametrize(
    ("changed", "limit", "max_age", "reuse_"),
    [
        ({}, 5000, 5000, "counted"),
        ({}, 0, 0, "no"),
        ({}, -5, 0, "no"),
        ({"valid_until": NOW + 10}, 5000, 10, "counted"),
        ({"valid_until": NOW + 9000}, 5000, 5000, "counted"),
        ({"valid_until": NOW}, 5000, 0, "no"),
        ({"valid_until": NOW - 7}, 5000, 0, "no"),
        ({"obligations": (reuse(30),)}, 5000, 30, "counted"),
        ({"obligations": (reuse(0),)}, 5000, 0, "no"),
        ({"obligations": (reuse(30),), "valid_until": NOW + 20}, 25, 20, "counted"),
        ({"region": None}, 5000, 0, "no"),
    ],
)
def test_the_greatest_age_is_the_least_of_all_bounds(
    changed: dict[str, Any], limit: int, max_age: int, reuse_: str
) -> None:
    found = answered(request(), decision(**changed), max_age_limit_ms=limit)

    assert (found.max_age_ms, found.reuse) == (max_age, reuse_)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (NOW, "2026-11-22T00:00:00Z"),
        (NOW + 1, "2026-11-22T00:00:00.001Z"),
        (NOW + 500, "2026-11-22T00:00:00.500Z"),
        (NOW + 120, "2026-11-22T00:00:00.120Z"),
        (253_402_300_799_000, "9999-12-31T23:59:59Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_instants_have_milliseconds_only_where_there_are_some(instant: int, text: str) -> None:
    assert answered(request(), decision(valid_until=instant)).valid_until == text


def test_a_shadow_allow_keeps_its_reason() -> None:
    would = ShadowOutcome(Effect.DENY, Reason.NO_RULE_MATCHED, ())

    assert body(answered(request(), decision(shadow=would)))["shadow"] == {
        "decision": "deny", "reason": "no_rule_matched", "rules": []
    }  # fmt: skip


def test_an_error_is_never_a_decision() -> None:
    found = json.loads(msgspec.json.encode(error_body("unknown_field", "the field `x` is not known")))

    assert found == {"error": {"code": "unknown_field", "message": "the field `x` is not known"}}


def test_names_that_no_rule_reads_cost_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """To find what may have been meant takes milliseconds, for each: that is for authors."""
    monkeypatch.setattr(attributes, "did_you_mean", lambda *_: pytest.fail("looked for what was meant"))

    found = request(context={f"user.claim-{number}": number for number in range(256)})

    assert found.context == {}
