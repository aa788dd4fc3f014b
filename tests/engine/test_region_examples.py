"""Regions by example: what an answer pins, and what it leaves free.

That regions are sound is a property (`tests/property`); these say that they are not needlessly narrow.
"""

import pytest

from pdp.engine.decide import decide
from pdp.limits import MAX_REGION_EXCLUSIONS
from pdp.vocabulary import Excluding, User
from tests.engine.asking import NOW, ask, index_of

ALICE = User(issuer="https://corp.test", subject="alice", groups=("devs",))


def region(rules, request, head="service s"):
    index = index_of(f"{head} {{\n{rules}\n}}")
    return decide(index, request).region


def pinned(rules, question, **rest):
    """Principal, method and path steps of the region."""
    found = region(rules, ask(question, **rest))
    who = None if found.principal is None else found.principal.removeprefix("spiffe://prod.test/")
    return who, found.method, found.path


# -- principal and method ---------------------------------------------------------------------

PLAIN = {
    # who may do it is not read where anyone may
    ("allow anyone to GET /x", "prod/a GET /x"): (None, "GET", ("x",)),
    ("allow anyone to any /x", "prod/a GET /x"): (None, None, ("x",)),
    ("allow prod/a to GET /x", "prod/a GET /x"): ("a", "GET", ("x",)),
    ("allow prod/a to any /x", "prod/a GET /x"): ("a", None, ("x",)),
    ("allow any authenticated to any /x", "prod/a GET /x"): ("a", None, ("x",)),
    # of several allows the one that reads least is rested on
    ("allow prod/a to GET /x\nallow anyone to GET /x", "prod/a GET /x"): (None, "GET", ("x",)),
    ("allow prod/a to any /x\nallow anyone to any /x", "prod/a GET /x"): (None, None, ("x",)),
    ("allow anyone to any /x\nallow prod/a to GET /x", "prod/a GET /x"): (None, None, ("x",)),
    ("allow prod/a to any /x\nallow prod/a to GET /x", "prod/a GET /x"): ("a", None, ("x",)),
    # a default deny reads neither where no allow stands, the method where none is for it
    ("allow anyone to GET /x", "prod/a GET /y"): (None, None, (Excluding(("x",)),)),
    ("allow prod/a to GET /x", "prod/a POST /x"): (None, "POST", ("x",)),
    ("allow prod/a to GET /x", "prod/b GET /x"): ("b", None, ("x",)),
    ("allow prod/a to GET /x\nallow prod/b to POST /x", "prod/b GET /x"): ("b", "GET", ("x",)),
    ("allow prod/a to GET /x\nallow prod/b to POST /x", "prod/c GET /x"): ("c", None, ("x",)),
    ("allow prod/a to GET /x\nallow anyone to GET /**", "prod/b POST /x"): (None, "POST", ("x",)),
    # the same through leaves of several rows
    ("allow prod/a to GET /*/x\nallow prod/b to POST /*/x", "prod/c GET /q/x"): ("c", None, (None, "x")),
    ("allow prod/a to GET /*/x\nallow prod/b to PUT /*/x", "prod/c POST /q/x"): (None, "POST", (None, "x")),
    # the same where a rule is alone in its place and another covers it
    ("allow prod/a to GET /x\nallow anyone to any /**", "prod/b GET /x"): (None, None, ("x",)),
    ("deny prod/a to any /x\nallow anyone to any /**", "prod/b GET /x"): ("b", None, ("x",)),
    ("allow prod/b to GET /x until 2026-12-01\nallow anyone to any /**", "prod/a GET /x"): (
        None,
        "GET",
        ("x",),
    ),
    # a deny is rested on alone
    ("deny anyone to any /x", "prod/a GET /x"): (None, None, ("x",)),
    ("deny anyone to GET /x", "prod/a GET /x"): (None, "GET", ("x",)),
    ("deny prod/a to any /x", "prod/a GET /x"): ("a", None, ("x",)),
    ("deny prod/a to GET /x", "prod/a GET /x"): ("a", "GET", ("x",)),
    ("deny prod/a to GET /x\ndeny anyone to any /x", "prod/a GET /x"): (None, None, ("x",)),
    ("deny prod/a to any /x\ndeny prod/a to GET /x", "prod/a GET /x"): ("a", None, ("x",)),
    ("deny anyone to GET /x\ndeny prod/a to GET /x", "prod/a GET /x"): (None, "GET", ("x",)),
    ("allow anyone to any /x\ndeny anyone to GET /x", "prod/a GET /x"): (None, "GET", ("x",)),
    # of several denies the one that reads least: no attribute, no capture, no exception, then no principal
    ("deny prod/a to GET /x\ndeny anyone to GET /x until 2026-12-01", "prod/a GET /x"): (None, "GET", ("x",)),
    ("deny anyone to GET /{n}/{n}\ndeny prod/a to GET /**", "prod/a GET /p/p"): ("a", "GET", (None, None)),
    ("deny anyone to GET /** except /q\ndeny prod/a to GET /**", "prod/a GET /p"): (
        "a",
        "GET",
        (Excluding(("q",)),),
    ),
    ('deny anyone to GET /{n} when {n} == "p"\ndeny prod/a to GET /**', "prod/a GET /p"): (
        "a",
        "GET",
        (None,),
    ),
    ('deny anyone to GET /x when header.x-a != "1"\ndeny prod/a to GET /x', "prod/a GET /x"): (
        "a",
        "GET",
        ("x",),
    ),
    # an allow beside denies: they are read if they tell principals or methods apart
    ("allow anyone to any /x\ndeny prod/a to any /x", "prod/b GET /x"): ("b", None, ("x",)),
    ("allow anyone to any /x\ndeny prod/a to POST /x", "prod/b GET /x"): (None, "GET", ("x",)),
    ("allow anyone to any /x\ndeny anyone to POST /x", "prod/b GET /x"): (None, "GET", ("x",)),
    ("allow anyone to GET /x\ndeny prod/a to POST /x", "prod/b GET /x"): (None, "GET", ("x",)),
    ("allow anyone to GET /x\ndeny prod/a to GET /x", "prod/b GET /x"): ("b", "GET", ("x",)),
    ("allow prod/b to any /x\ndeny prod/b to POST /x", "prod/b GET /x"): ("b", "GET", ("x",)),
    ("allow prod/b to any /x\ndeny prod/a to POST /x", "prod/b GET /x"): ("b", None, ("x",)),
    # the same where the denies stand in leaves of several rows
    ("allow anyone to any /*/x\ndeny prod/a to POST /*/x", "prod/b GET /q/x"): (None, "GET", (None, "x")),
    ("allow anyone to any /*/x\ndeny anyone to POST /*/x", "prod/b GET /q/x"): (None, "GET", (None, "x")),
    ("allow anyone to any /*/x\ndeny prod/a to any /*/x", "prod/b GET /q/x"): ("b", None, (None, "x")),
    ("allow anyone to any /**\ndeny prod/a to any /*/x", "prod/b GET /q/x"): ("b", None, (None, "x")),
    # obligations restrict as denies do: whether they come along is part of the answer
    ("allow anyone to any /x\nallow prod/a to any /x reuse at most 1s", "prod/b GET /x"): ("b", None, ("x",)),
    ("allow anyone to any /x\nallow anyone to POST /x reuse at most 1s", "prod/b GET /x"): (
        None,
        "GET",
        ("x",),
    ),
    # shadow rules are not read
    ("allow anyone to any /x\nshadow deny prod/a to GET /x", "prod/b GET /x"): (None, None, ("x",)),
    ("allow anyone to any /*/x\nshadow deny prod/a to GET /*/x", "prod/b GET /q/x"): (
        None,
        None,
        (None, "x"),
    ),
    ("shadow allow prod/a to GET /x", "prod/b GET /x"): (None, None, ("x",)),
    ("shadow allow prod/a to GET /*/x\nshadow allow prod/b to GET /*/x", "prod/b GET /q/x"): (
        None,
        None,
        (None, "x"),
    ),
}


@pytest.mark.parametrize(("rules", "question"), PLAIN)
def test_principal_and_method_are_pinned_where_they_were_read(rules, question):
    assert pinned(rules, question) == PLAIN[rules, question]


@pytest.mark.parametrize(("who", "methods"), [("prod/a", "GET"), ("anyone", "GET"), ("prod/a", "any")])
@pytest.mark.parametrize(("path", "rest"), [("/x", False), ("/x/*", False), ("/x/**", True)])
def test_longer_paths_are_in_the_region_only_where_the_rule_takes_them(who, methods, path, rest):
    found = region(f"allow {who} to {methods} {path}", ask(f"prod/a GET {path.replace('*', 'q')}"))

    assert found.rest is rest


# -- attributes -------------------------------------------------------------------------------

A = 'header.x-a == "1"'
B = 'header.x-b == "1"'
GIVEN = {"header.x-a": ("1",), "header.x-b": ("1",), "source.ip": "10.0.0.1"}
FALSE = {"header.x-a": ("2",), "header.x-b": ("2",), "source.ip": "10.0.0.1"}

READ = {
    # an allow: what it rests on, and what the restricting rules read
    (f"allow anyone to GET /x when {A}", "GIVEN"): {"header.x-a": ("1",)},
    (f"allow anyone to GET /x when {A} and {B}", "GIVEN"): {"header.x-a": ("1",), "header.x-b": ("1",)},
    (f"allow anyone to GET /x when {A}\nallow anyone to GET /x", "GIVEN"): {},
    (f"allow anyone to GET /x when {A} and {B}\nallow anyone to GET /x when {A}", "GIVEN"): {
        "header.x-a": ("1",)
    },
    (f"allow anyone to GET /x\nallow anyone to GET /x when {A}", "GIVEN"): {},
    (f"allow anyone to GET /x\ndeny anyone to GET /x when {A}", "FALSE"): {"header.x-a": ("2",)},
    (f"allow anyone to GET /x\ndeny prod/b to GET /x when {A}", "FALSE"): {},
    (f"allow anyone to GET /x\ndeny anyone to POST /x when {A}", "FALSE"): {},
    (f"allow anyone to GET /x\nshadow deny anyone to GET /x when {A}", "FALSE"): {},
    (f"allow anyone to GET /x\nallow anyone to GET /x when {A} reuse at most 1s", "FALSE"): {
        "header.x-a": ("2",)
    },
    # a default deny: what kept each allow from holding
    (f"allow anyone to GET /x when {A}", "FALSE"): {"header.x-a": ("2",)},
    (f"allow anyone to GET /x when {A}\nallow anyone to GET /x when {B}", "FALSE"): {
        "header.x-a": ("2",),
        "header.x-b": ("2",),
    },
    (f"allow anyone to GET /x when {A}\ndeny anyone to GET /x when {B}", "FALSE"): {"header.x-a": ("2",)},
    (f"allow anyone to GET /x when {A}\nshadow allow anyone to GET /x when {B}", "FALSE"): {
        "header.x-a": ("2",)
    },
    (f"allow anyone to POST /x when {A}", "FALSE"): {},
    # a deny: the cheapest one alone
    (f"deny anyone to GET /x when {A}", "GIVEN"): {"header.x-a": ("1",)},
    (f"deny anyone to GET /x when {A} and {B}\ndeny anyone to GET /x when {B}", "GIVEN"): {
        "header.x-b": ("1",)
    },
    (f"deny anyone to GET /x when {A}\ndeny anyone to GET /x", "GIVEN"): {},
    (f"allow anyone to GET /x when {B}\ndeny anyone to GET /x when {A}", "GIVEN"): {"header.x-a": ("1",)},
    # what is missing is pinned as null
    (f"deny anyone to GET /x when {A}", "{}"): {"header.x-a": None},
    (f"allow anyone to GET /x when {A}", "{}"): {"header.x-a": None},
}


@pytest.mark.parametrize(("rules", "context"), READ)
def test_attributes_are_pinned_where_they_were_read(rules, context):
    given = {"GIVEN": GIVEN, "FALSE": FALSE, "{}": {}}[context]

    assert region(rules, ask("prod/a GET /x", context=given)).context == READ[rules, context]


@pytest.mark.parametrize(("path", "all_"), [("/x", "/**"), ("/*/x", "/**"), ("/*/x", "/*/x")])
def test_a_deny_that_reads_no_principal_pins_none(path, all_):
    rules = f"deny anyone to any {path} when {A}\nallow anyone to any {all_}"

    found = region(rules, ask(f"prod/b GET {path.replace('*', 'q')}", context=FALSE))

    assert (found.principal, found.method, found.context) == (None, None, {"header.x-a": ("2",)})


def test_beside_a_deny_that_does_not_hold_a_shadow_allow_is_not_read():
    rules = f"shadow allow prod/a to GET /x\ndeny prod/b to GET /** when {A}"

    found = region(rules, ask("prod/b GET /x", context=FALSE))

    assert (found.principal, found.method, found.context) == (None, None, {})


def test_whom_no_allow_is_about_is_denied_for_every_method():
    rules = f"allow prod/a to GET /x\ndeny prod/b to GET /x when {A}"

    found = region(rules, ask("prod/b GET /x", context=FALSE))

    assert (found.principal, found.method, found.context) == ("spiffe://prod.test/b", None, {})


@pytest.mark.parametrize("target", ["/t/{team}", "/t/{same}/{same}"])
def test_where_captures_differ_the_condition_was_not_read(target):
    rules = f"allow prod/{{team}}/sa to GET {target} when {A}"
    path = target.replace("{team}", "blue").replace("{same}", "p", 1).replace("{same}", "q")

    assert region(rules, ask(f"prod/red/sa GET {path}", context=GIVEN)).context == {}


def test_of_a_user_the_groups_are_pinned_as_a_whole():
    rules = "allow anyone on behalf of group corp/devs to GET /x"

    found = region(rules, ask("prod/a GET /x", user=ALICE))

    assert found.context == {"user.iss": "https://corp.test", "user.groups": ("devs",)}


# -- captures and exceptions --------------------------------------------------------------------

TEAMS = "allow prod/ns/{team}/sa to GET /teams/{team}/** except /teams/{team}/secrets/**"


def test_a_capture_that_agrees_is_pinned():
    assert pinned(TEAMS, "prod/ns/red/sa GET /teams/red/x") == (
        "ns/red/sa",
        "GET",
        ("teams", "red", Excluding(("secrets",))),
    )


def test_a_capture_that_differs_excludes_the_one_value_it_would_agree_with():
    assert pinned(TEAMS, "prod/ns/red/sa GET /teams/blue/x") == (
        "ns/red/sa",
        "GET",
        ("teams", Excluding(("red",)), Excluding(("secrets",))),
    )


def test_a_capture_in_the_first_segment_is_excluded_like_any_other():
    assert pinned("allow prod/{n}/x to GET /{n}", "prod/red/x GET /blue")[2] == (Excluding(("red",)),)


@pytest.mark.parametrize(
    ("rule", "question", "steps"),
    [
        (
            "allow prod/{n}/x to GET /t/{n}/** except /t/*/{n}",
            "prod/red/x GET /t/blue/q",
            ("t", Excluding(("red",)), None),
        ),
        ("allow prod/a to GET /{n}/{n}/** except /*/*/{n}", "prod/a GET /p/q/x", ("p", "q", None)),
    ],
)
def test_where_captures_differ_no_exception_was_read(rule, question, steps):
    assert pinned(rule, question)[2] == steps


def test_an_exception_that_applies_pins_its_captures():
    assert pinned(TEAMS, "prod/ns/red/sa GET /teams/red/secrets/x")[2] == ("teams", "red", "secrets")


def test_captures_of_the_path_that_differ_are_both_pinned():
    rules = "allow anyone to GET /a/{one}/{one}/{three}"

    assert pinned(rules, "prod/a GET /a/p/q/r")[2] == ("a", "p", "q", None)
    assert pinned(rules, "prod/a GET /a/p/p/r")[2] == ("a", "p", "p", None)


def test_captures_behind_the_rest_are_counted_from_the_end():
    rules = "allow prod/ns/{team}/sa to GET /a/**/{team}/end"

    assert pinned(rules, "prod/ns/red/sa GET /a/x/red/end")[2] == ("a", None, "red", "end")
    assert pinned(rules, "prod/ns/red/sa GET /a/x/blue/end")[2] == ("a", None, Excluding(("red",)), "end")


@pytest.mark.parametrize("more", [0, 1])
def test_too_many_exclusions_of_one_segment_pin_it(more):
    literals = [f"l{n}" for n in range(MAX_REGION_EXCLUSIONS - 3 + more)]
    others = "\n".join(f"allow prod/z to GET /teams/{text}" for text in (*literals, "p*", "*.png"))
    rules = f"allow prod/ns/{{team}}/sa to GET /teams/{{team}}\n{others}"

    step = pinned(rules, "prod/ns/red/sa GET /teams/blue")[2][1]

    assert step == ("blue" if more else Excluding((*literals, "red"), ("p",), (".png",)))


def test_a_value_that_is_excluded_already_is_not_excluded_twice():
    rules = "allow prod/ns/{team}/sa to GET /t/{team}\nallow prod/ns/{team}/* to PUT, GET /t/{team}"

    assert pinned(rules, "prod/ns/red/sa GET /t/blue")[2] == ("t", Excluding(("red",)))


def test_a_captured_literal_is_pinned_whatever_it_would_agree_with():
    rules = "allow prod/ns/{team}/sa to GET /t/{team}\nallow prod/z to GET /t/blue"

    assert pinned(rules, "prod/ns/red/sa GET /t/blue")[2] == ("t", "blue")


# -- time ---------------------------------------------------------------------------------------

LATER = "until 2026-12-01"


def test_where_time_can_open_the_answer_everything_that_could_matter_is_pinned():
    rules = f"allow anyone to any /x when {A} {LATER}\nallow prod/a to any /x\ndeny anyone to any /x when {B}"

    found = region(rules, ask("prod/a GET /x", context=FALSE))

    assert (found.principal, found.method) == ("spiffe://prod.test/a", "GET")
    assert found.context == {"header.x-a": ("2",), "header.x-b": ("2",)}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (f"deny anyone to any /x\nallow anyone to POST /x {LATER}", (None, "GET")),
        (f"deny anyone to any /x\nallow anyone to GET /x {LATER}", ("prod/a", "GET")),
        (f"deny anyone to any /x {LATER}", (None, None)),
        (f"allow anyone to any /x\nallow prod/b to POST /x {LATER}", (None, "GET")),
        (f"allow anyone to any /x\nallow prod/b to GET /x {LATER}", (None, "GET")),
        (f"allow anyone to any /x\nshadow allow prod/b to GET /x {LATER}", (None, None)),
    ],
)
@pytest.mark.parametrize("path", ["/x", "/*/x"])
def test_only_dates_of_allows_for_the_same_method_pin_everything(rules, expected, path):
    found = region(rules.replace("/x", path), ask(f"prod/a GET {path.replace('*', 'q')}"))

    principal = None if found.principal is None else "prod/a"
    assert (principal, found.method) == expected


def test_an_observed_service_pins_everything():
    rules = f"deny anyone to any /x when {A}"

    found = region(rules, ask("prod/a GET /x", context=FALSE), head="service s observe until 2026-12-01")

    assert (found.principal, found.method, found.context) == (
        "spiffe://prod.test/a",
        "GET",
        {"header.x-a": ("2",)},
    )


def test_an_observed_service_pins_nothing_for_shadow_rules():
    rules = f"shadow deny anyone to any /x when {A}\nallow prod/b to GET /x"

    found = region(rules, ask("prod/a GET /x", context=FALSE), head="service s observe until 2026-12-01")

    assert found.context == {}


def test_once_observation_has_ended_nothing_is_pinned_for_it():
    end = NOW  # 2026-11-22T00:00Z: exclusive
    head = "service s observe until 2026-11-22"
    rules = f"deny anyone to any /x when {A}"

    assert region(rules, ask("prod/a GET /x", now=end, context=FALSE), head=head).principal is None
    assert region(rules, ask("prod/a GET /x", now=end - 1, context=FALSE), head=head).principal is not None


def test_nothing_opens_a_service_that_is_not_declared():
    index = index_of("service s { allow anyone to GET /x }\ndeny prod/b to any /** on any service")

    for question in ("prod/a GET /x", "prod/b GET /x/y"):
        found = decide(index, ask(question, service="other")).region
        assert (found.service, found.principal, found.method) == ("other", None, None)
        assert (found.path, found.rest, found.context) == ((), True, {})
