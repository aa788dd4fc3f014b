"""Explanations name the part of a rule that is to blame: the test, the date, the capture."""

import pytest

from pdp.engine.decide import decide
from pdp.engine.explain import Coordinate, Outcome, Verdict, explain
from pdp.vocabulary import User
from tests.docs.sets import load
from tests.engine.asking import ask
from tests.engine.explaining import explained, told

A = Coordinate
FALSE, UNKNOWN = Verdict.FALSE, Verdict.UNKNOWN


def unmet(clause, question="prod/a GET /x", **rest):
    """What keeps one allow with a clause from holding."""
    return told(explained(f"allow anyone to GET /x {clause}", question, **rest)[1].nearest.differences)


def only(rules, question="prod/a GET /x", **rest):
    (found,) = explained(rules, question, **rest)[1].considered
    return found


# -- tests of conditions ------------------------------------------------------------------------

WHEN = 'source.ip in 10.0.0.0/8 and header.x-env == "live" and tls.version == "1.3"'
GOOD = {"source.ip": "10.1.2.3", "header.x-env": ("live",), "tls.version": "1.3"}
IP = (A.ATTRIBUTE, "source.ip = 192.0.2.1", "source.ip in 10.0.0.0/8", FALSE)
ENV = (A.ATTRIBUTE, "header.x-env = test", 'header.x-env == "live"', FALSE)


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"source.ip": "192.0.2.1"}, [IP]),
        ({"header.x-env": ("test",)}, [ENV]),
        ({"source.ip": "192.0.2.1", "header.x-env": ("test",)}, [IP, ENV]),
        (
            {"header.x-env": ("live", "test")},
            [(A.ATTRIBUTE, "header.x-env = live, test", 'header.x-env == "live"', UNKNOWN)],
        ),
        ({"tls.version": None}, [(A.ATTRIBUTE, "tls.version is absent", 'tls.version == "1.3"', UNKNOWN)]),
    ],
)
def test_exactly_the_tests_that_do_not_hold_are_named(changed, wanted):
    assert unmet(f"when {WHEN}", context={**GOOD, **changed}) == wanted


@pytest.mark.parametrize(
    ("clause", "wanted"),
    [
        # of alternatives those that take the fewest tests, the first of as many
        (
            'when (inside and live) or header.x-b == "1"',
            [("header.x-b is not supplied", 'header.x-b == "1"')],
        ),
        ("when live or inside", [("header.x-env = test", 'header.x-env == "live" (condition live)')]),
        # what is true already is not wanted
        (
            "when (inside and has source.ip) or (live and has request.port)",
            [("source.ip = 192.0.2.1", IP[2])],
        ),
        # not, and unless
        ("unless has source.ip", [("source.ip = 192.0.2.1", "not has source.ip")]),
        (
            "when not (has source.ip or has request.port)",
            [("source.ip = 192.0.2.1", "not has source.ip"), ("request.port = 8", "not has request.port")],
        ),
        (
            "when not (has source.ip and has request.port)",
            [("source.ip = 192.0.2.1", "not has source.ip")],
        ),
        ("when not not inside", [("source.ip = 192.0.2.1", IP[2])]),
        # a test that stands twice is one
        ("when inside and inside", [("source.ip = 192.0.2.1", IP[2])]),
        # several operands
        ("when request.port > 8 unless principal in many", [("request.port = 8", "request.port > 8")]),
        (
            "when header.x-env == tls.sni",
            [("header.x-env = test, tls.sni is not supplied", "header.x-env == tls.sni")],
        ),
    ],
)
def test_the_fewest_tests_that_would_make_it_true_are_named(clause, wanted):
    given = {"source.ip": "192.0.2.1", "request.port": 8, "header.x-env": ("test",)}

    found = unmet(clause, context=given)

    assert [(one[1], one[2].removesuffix(" (condition inside)")) for one in found] == wanted


def test_a_named_condition_is_named_by_the_name_in_the_rule():
    found = unmet("when fit", context={**GOOD, "source.ip": "192.0.2.1"})

    assert found == [(*IP[:2], "source.ip in 10.0.0.0/8 (condition fit)", FALSE)]


@pytest.mark.parametrize("given", [True, False])
def test_truth_values_are_told_in_the_words_of_the_language(given):
    said, other = ("true", "false") if given else ("false", "true")

    found = unmet(f"when user.email_verified == {other}", context={"user.email_verified": given})

    text = f"user.email_verified == {other}"
    assert found == [(A.ATTRIBUTE, f"user.email_verified = {said}", text, FALSE)]


def test_a_condition_of_a_delegated_directory_is_taken_apart_as_well():
    files = {
        "a.policy": 'language 1\ndelegate "teams/pay" owns service s\n',
        "teams/pay/s.policy": "language 1\ncondition local = source.ip in 10.0.0.0/8 and has tls.sni\n"
        "service s { allow anyone to GET /x when local }\n",
    }
    snapshot = load(files).snapshot
    request = ask("prod/a GET /x", context={"source.ip": "192.0.2.1", "tls.sni": "x"})

    found = explain(snapshot.index, request, decide(snapshot.index, request))

    assert told(found.nearest.differences) == [
        (A.ATTRIBUTE, IP[1], "source.ip in 10.0.0.0/8 (condition local)", FALSE)
    ]


@pytest.mark.parametrize(
    ("clause", "wanted"),
    [
        (
            "when principal in many",
            (A.PRINCIPAL, "spiffe://prod.test/a", "principal in many", FALSE),
        ),
        (
            "unless principal in prod/a",
            (A.PRINCIPAL, "spiffe://prod.test/a", "not principal in prod/a", FALSE),
        ),
        (
            "when during mon-fri 09:00-17:00 in Europe/Berlin",
            (
                A.TIME,
                "now = 2026-11-22, sun 01:00 in Europe/Berlin",
                "during mon-fri 09:00-17:00 in Europe/Berlin",
                FALSE,
            ),
        ),
        ("from 2027-01-01", (A.TIME, "now = 2026-11-22", "from 2027-01-01", None)),
        ("until 2026-11-22", (A.TIME, "now = 2026-11-22", "until 2026-11-22", None)),
        (
            "from 2026-11-22 until 2026-11-22T09:00Z when live",
            (*ENV[:2], f"{ENV[2]} (condition live)", FALSE),
        ),
    ],
)
def test_principals_windows_and_dates_are_named(clause, wanted):
    assert unmet(clause, context={"header.x-env": ("test",)}) == [wanted]


def test_a_date_and_a_test_are_both_named():
    found = unmet("when inside until 2026-01-01", context={"source.ip": "192.0.2.1"})

    assert [one[:2] for one in found] == [(A.TIME, "now = 2026-11-22"), IP[:2]]


@pytest.mark.parametrize(
    ("user", "supplied", "given", "truth"),
    [
        (None, (), "the user is not supplied", UNKNOWN),
        (None, ("user",), "no user", FALSE),
        (User(issuer="https://x.test", subject="al"), (), "al of https://x.test", FALSE),
        (
            User(issuer="https://x.test", subject="al", groups=("p", "q")),
            (),
            "al of https://x.test in p, q",
            FALSE,
        ),
    ],
)
def test_the_user_is_named(user, supplied, given, truth):
    rules = "allow anyone on behalf of corp/bob, group corp/ops to GET /x"

    _, found = explained(rules, "prod/a GET /x", user=user, supplied=frozenset(supplied))

    wanted = "on behalf of corp/bob, group corp/ops"
    assert told(found.nearest.differences) == [(A.USER, given, wanted, truth)]


def test_of_a_user_who_is_meant_nothing_is_told():
    rules = "allow anyone on behalf of corp/bob to GET /x when inside"
    bob = User(issuer="https://corp.test", subject="bob")

    _, found = explained(rules, "prod/a GET /x", user=bob, context={"source.ip": "192.0.2.1"})

    assert [one.coordinate for one in found.nearest.differences] == [A.ATTRIBUTE]


def test_a_deny_that_holds_because_no_user_is_supplied_says_so():
    found = only("deny anyone on behalf of corp/bob to GET /x")

    assert found.outcome is Outcome.SATISFIED
    assert told(found.differences) == [
        (A.USER, "the user is not supplied", "not on behalf of corp/bob", UNKNOWN)
    ]


def test_the_tests_are_named_where_other_things_differ_as_well():
    _, found = explained(
        f"allow prod/b to POST /y when {WHEN}", "prod/a GET /x", context={**GOOD, "tls.version": "1"}
    )

    assert [one.coordinate for one in found.nearest.differences] == [
        A.PRINCIPAL,
        A.METHOD,
        A.PATH,
        A.ATTRIBUTE,
    ]


# -- captures --------------------------------------------------------------------------------------

CAPTURES = {
    ("prod/{team} to GET /t/{team}", "prod/a GET /t/b"): "{team} is a in the principal and b in the path",
    ("prod/{t} to GET /**/{t}", "prod/a GET /x/y/b"): "{t} is a in the principal and b in the path",
    ("anyone to GET /{t}/{t}", "prod/a GET /x/y"): "{t} is x and y in the path",
    ("prod/{t}/{t} to GET /x", "prod/a/b GET /x"): "{t} is a and b in the principal",
    # what is equal is not told
    ("prod/{u}/{t} to GET /{u}/{t}", "prod/a/b GET /a/c"): "{t} is b in the principal and c in the path",
    ("anyone to GET /{u}/{u}/{t}/{t}", "prod/a GET /x/x/x/y"): "{t} is x and y in the path",
    ("prod/{u}/{u}/{t}/{t} to GET /x", "prod/a/a/a/b GET /x"): "{t} is a and b in the principal",
}


@pytest.mark.parametrize(("rule", "question"), CAPTURES)
def test_a_capture_that_differs_is_named_with_what_it_stands_for(rule, question):
    _, found = explained(f"allow {rule}", question)

    name = CAPTURES[rule, question].partition(" ")[0]
    wanted = [(A.CAPTURE, CAPTURES[rule, question], f"the same {name} everywhere", None)]
    assert found.considered[0].outcome is Outcome.CAPTURES_DIFFER
    assert told(found.considered[0].differences) == wanted
    assert told(found.nearest.differences) == wanted


def test_a_test_of_a_capture_is_named_where_both_patterns_match():
    rules = 'allow prod/{t} to GET /t/{id} when {t} == "a" and {id} in { "1", "2" }'

    _, here = explained(rules, "prod/b GET /t/1")
    _, elsewhere = explained(rules, "prod/b GET /u/v/w")

    assert told(here.nearest.differences) == [(A.CAPTURE, "{t} = b", '{t} == "a"', FALSE)]
    assert [one.coordinate for one in elsewhere.nearest.differences] == [A.PATH]


# -- rules considered ---------------------------------------------------------------------------


def test_a_deny_that_holds_because_an_attribute_is_missing_says_so():
    when = 'header.x-b == "1" and request.port == 1'
    rules = f"deny anyone to GET /x when {when} as no\nallow prod/a to GET /x as yes"
    given = {"request.port": 1}

    index, found = explained(rules, "prod/a GET /x", context=given)

    unknown = [(A.ATTRIBUTE, "header.x-b is not supplied", 'not header.x-b == "1"', UNKNOWN)]
    assert found.considered[0].outcome is Outcome.SATISFIED
    assert told(found.considered[0].differences) == unknown
    assert told(found.nearest.differences) == [
        (A.DENIED, "s/no, whose condition is unknown: header.x-b is not supplied", "no deny", None)
    ]
    assert index.rule("s", found.nearest.rule).name == "s/yes"


def test_a_deny_that_holds_because_it_is_true_has_nothing_to_add():
    rules = 'deny anyone to GET /x when header.x-b == "1" as no\nallow prod/a to GET /x'

    _, found = explained(rules, "prod/a GET /x", context={"header.x-b": "1"})

    assert [entry.differences for entry in found.considered] == [(), ()]
    assert told(found.nearest.differences) == [(A.DENIED, "s/no", "no deny", None)]


def test_what_keeps_a_considered_rule_from_holding_is_named():
    assert told(only("allow anyone to GET /x when inside").differences) == [
        (A.ATTRIBUTE, "source.ip is not supplied", "source.ip in 10.0.0.0/8 (condition inside)", UNKNOWN)
    ]
    assert told(only("allow anyone to GET /** except /y and /x").differences) == [
        (A.PATH, "/x", "/** except /y and /x", None)
    ]
    assert only("allow anyone to POST /x when inside").differences == ()
