"""Explanations by example: what became of each rule, and what keeps the nearest allow from holding."""

import pytest

from pdp.engine.decide import decide
from pdp.engine.explain import Coordinate, Outcome, explain
from pdp.vocabulary import Effect, User
from tests.engine.asking import NOW, ask, index_of

RULES = """
service s {
    allow prod/a to GET /x as get
    allow prod/a to POST /x as post
    allow prod/b to GET /x as other
    allow prod/a to GET /x when header.x-a == "1" as conditional
    allow prod/a to GET /x until 2026-01-01 as ended
    allow prod/a to GET /x from 2027-01-01 as early
    deny prod/a to GET /x when header.x-b == "1" as unless-b
    shadow deny prod/a to GET /x as shade
}
"""


def explained(rules, question, service="s", **rest):
    index = index_of(rules)
    request = ask(question, service=service, **rest)
    return index, explain(index, request, decide(index, request))


def considered(rules, question, **rest):
    index, found = explained(rules, question, **rest)
    return {
        index.rule("s", entry.rule).name.removeprefix("s/"): (entry.effect.value, entry.shadow, entry.outcome)
        for entry in found.considered
    }


def nearest(rules, question, **rest):
    """The nearest rule with its differences, or None."""
    index, found = explained(f"service s {{\n{rules}\n}}", question, **rest)
    if found.nearest is None:
        return None
    name = index.rule("s", found.nearest.rule).name.removeprefix("s/")
    return name, [(one.coordinate, one.given, one.wanted) for one in found.nearest.differences]


# -- rules considered -------------------------------------------------------------------------


def test_each_rule_on_the_path_about_the_principal_is_listed_with_what_became_of_it():
    assert considered(RULES, "prod/a GET /x", context={"header.x-a": ("2",), "header.x-b": ("2",)}) == {
        "get": ("allow", False, Outcome.SATISFIED),
        "post": ("allow", False, Outcome.OTHER_METHOD),
        "conditional": ("allow", False, Outcome.CONDITION_FALSE),
        "ended": ("allow", False, Outcome.OUTSIDE_DATES),
        "early": ("allow", False, Outcome.OUTSIDE_DATES),
        "unless-b": ("deny", False, Outcome.CONDITION_FALSE),
        "shade": ("deny", True, Outcome.SATISFIED),
    }


def test_what_is_unknown_leaves_an_allow_unsatisfied_and_a_deny_satisfied():
    found = considered(RULES, "prod/a GET /x")

    assert found["conditional"][2] is Outcome.CONDITION_UNKNOWN
    assert found["unless-b"][2] is Outcome.SATISFIED


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        (NOW - 1, Outcome.OUTSIDE_DATES),
        (NOW, Outcome.SATISFIED),
        (NOW + 59_999, Outcome.SATISFIED),
        (NOW + 60_000, Outcome.OUTSIDE_DATES),
    ],
)
def test_dates_are_shown_as_they_are_decided(now, outcome):
    rules = "service s { allow anyone to GET /x from 2026-11-22 until 2026-11-22T00:01Z as r }"

    assert considered(rules, "prod/a GET /x", now=now)["r"][2] is outcome


def test_a_capture_that_differs_and_an_exception_that_applies_are_shown():
    rules = """service s {
        allow prod/{n} to GET /{n} as capture
        allow prod/a to GET /** except /x as excepted
    }"""

    assert {name: entry[2] for name, entry in considered(rules, "prod/a GET /x").items()} == {
        "capture": Outcome.CAPTURES_DIFFER,
        "excepted": Outcome.EXCEPTED,
    }


def test_deciding_rules_come_first_and_a_rule_is_listed_once_by_its_best_row():
    rules = """service s {
        allow anyone to GET /x as first
        deny anyone to POST, GET /x when header.x-q == "1" as second
        deny anyone to GET /** , any /x as third
    }"""
    index, found = explained(rules, "prod/a GET /x", context={"header.x-q": ("2",)})

    assert [index.rule("s", entry.rule).name for entry in found.considered] == [
        "s/third",
        "s/first",
        "s/second",
    ]


@pytest.mark.parametrize("targets", ["POST /x, GET /x", "GET /x, POST /x"])
def test_of_several_rows_the_satisfied_one_speaks_for_the_rule(targets):
    rules = f"service s {{ allow anyone to {targets} as r }}"

    assert considered(rules, "prod/a GET /x")["r"][2] is Outcome.SATISFIED


def test_no_more_than_fifty_rules_are_listed():
    rules = "\n".join(f"allow prod/a to GET /x as r{number}" for number in range(51))

    assert len(explained(f"service s {{\n{rules}\n}}", "prod/a GET /x")[1].considered) == 50


@pytest.mark.parametrize(
    ("question", "service"),
    [("prod/a GET /a/../b", "s"), ("prod/a get /x", "s"), ("prod/a GET /x", "nowhere")],
)
def test_what_was_refused_before_any_rule_considered_none(question, service):
    found = explained(RULES, question, service=service)[1]

    assert (found.considered, found.nearest) == ((), None)


# -- the nearest allow ------------------------------------------------------------------------

A = Coordinate

NEAREST = {
    # one thing differs
    ("allow prod/b to GET /x as r", "prod/a GET /x"): [
        (A.PRINCIPAL, "spiffe://prod.test/a", "spiffe://prod.test/b")
    ],
    ("allow prod/a to POST, PUT /x as r", "prod/a GET /x"): [(A.METHOD, "GET", "POST, PUT")],
    ("allow prod/a to GET /y as r", "prod/a GET /x"): [(A.PATH, "/x", "/y")],
    ("allow prod/b to GET /y\nallow prod/a to GET /y as r", "prod/a GET /x"): [(A.PATH, "/x", "/y")],
    ("allow prod/a to GET /x until 2026-01-01 as r", "prod/a GET /x"): [
        (A.TIME, "now = 2026-11-22", "until 2026-01-01")
    ],
    ('allow prod/a to GET /x when header.x-a == "1" as r', "prod/a GET /x"): [
        (A.ATTRIBUTE, "header.x-a is not supplied", 'header.x-a == "1"')
    ],
    ("allow prod/a to GET /** except /x as r", "prod/a GET /x"): [(A.PATH, "/x", "/** except /x")],
    # the fewest differences win, then the nearest path, then the earliest rule
    ("allow prod/b to POST /x\nallow prod/a to PUT /x as r", "prod/a GET /x"): [(A.METHOD, "GET", "PUT")],
    ("allow prod/b to GET /x as r\nallow prod/c to GET /x", "prod/a GET /x"): [
        (A.PRINCIPAL, "spiffe://prod.test/a", "spiffe://prod.test/b")
    ],
    ("allow prod/b to GET /x as r\nallow prod/a to GET /y", "prod/a GET /x"): [
        (A.PRINCIPAL, "spiffe://prod.test/a", "spiffe://prod.test/b")
    ],
    ("allow prod/b to POST /x\nallow prod/a to GET /y as r", "prod/a GET /x"): [(A.PATH, "/x", "/y")],
    ("allow prod/a to GET /q/x\nallow prod/a to GET /p/y as r", "prod/a GET /p/x"): [
        (A.PATH, "/p/x", "/p/y")
    ],
    ("allow prod/b to GET /** as r\nallow prod/c to GET /x", "prod/a GET /x"): [
        (A.PRINCIPAL, "spiffe://prod.test/a", "spiffe://prod.test/b")
    ],
    ("allow prod/b to GET /y\nallow prod/b to POST /x as r", "prod/a GET /x"): [
        (A.PRINCIPAL, "spiffe://prod.test/a", "spiffe://prod.test/b"),
        (A.METHOD, "GET", "POST"),
    ],
    # several things differ
    ("allow prod/b to any /y as r", "prod/a GET /x"): [
        (A.PRINCIPAL, "spiffe://prod.test/a", "spiffe://prod.test/b"),
        (A.PATH, "/x", "/y"),
    ],
    ('allow prod/b to POST /x when header.x-a == "1" as r', "prod/a GET /x"): [
        (A.PRINCIPAL, "spiffe://prod.test/a", "spiffe://prod.test/b"),
        (A.METHOD, "GET", "POST"),
        (A.ATTRIBUTE, "header.x-a is not supplied", 'header.x-a == "1"'),
    ],
    # a deny stands in the way of every allow
    ("allow prod/a to GET /x as r\ndeny anyone to GET /x as no", "prod/a GET /x"): [
        (A.DENIED, "s/no", "no deny")
    ],
    ("allow prod/a to GET /x until 2027-01-01 as r\ndeny anyone to GET /x as no", "prod/a GET /x"): [
        (A.DENIED, "s/no", "no deny")
    ],
    # each deny does, and denies that do not hold are left out
    (
        """allow prod/a to GET /x as r
           deny anyone to GET /x as no
           deny prod/a to any /** as nor
           deny prod/b to GET /x as other
           deny anyone to GET /x until 2026-01-01 as past""",
        "prod/a GET /x",
    ): [(A.DENIED, "s/no", "no deny"), (A.DENIED, "s/nor", "no deny")],
    ("allow prod/a to GET /y as r\ndeny anyone to GET /x as no", "prod/a GET /x"): [
        (A.DENIED, "s/no", "no deny"),
        (A.PATH, "/x", "/y"),
    ],
}


@pytest.mark.parametrize(("rules", "question"), NEAREST)
def test_the_nearest_allow_and_every_difference_from_it(rules, question):
    assert nearest(rules, question) == ("r", NEAREST[rules, question])


@pytest.mark.parametrize(
    ("context", "supplied", "given"),
    [
        ({"header.x-a": ("2", "3")}, (), "header.x-a = 2, 3"),
        ({"header.x-a": "2"}, (), "header.x-a = 2"),
        ({"header.x-a": None}, (), "header.x-a is absent"),
        ({}, ("header",), "header.x-a is absent"),
        ({}, ("source",), "header.x-a is not supplied"),
    ],
)
def test_what_a_condition_read_is_shown(context, supplied, given):
    rules = 'allow prod/a to GET /x when header.x-a == "1" as r'

    _, differences = nearest(rules, "prod/a GET /x", context=context, supplied=frozenset(supplied))

    assert differences == [(Coordinate.ATTRIBUTE, given, 'header.x-a == "1"')]


def test_attributes_are_shown_in_order_and_the_user_as_it_is():
    rules = 'allow prod/a to GET /x when user.sub == "bob" and request.port == 1 as r'
    alice = User(issuer="https://corp.test", subject="alice")

    _, differences = nearest(rules, "prod/a GET /x", user=alice, context={"request.port": 2})

    assert [one[1:] for one in differences] == [
        ("user.sub = alice", 'user.sub == "bob"'),
        ("request.port = 2", "request.port == 1"),
    ]


@pytest.mark.parametrize(
    "rules",
    [
        "",
        "deny prod/a to GET /x",
        "shadow allow prod/a to GET /x",
        "shadow allow prod/a to GET /y",
        "deny prod/a to GET /y",
    ],
)
def test_nothing_is_near_where_there_is_no_enforced_allow(rules):
    assert nearest(rules, "prod/a GET /x") is None


def test_an_allow_needs_no_nearest_rule():
    assert nearest("allow prod/a to GET /x", "prod/a GET /x") is None


def test_a_rule_for_any_method_never_differs_by_the_method():
    rules = "allow prod/b to any /x as r"

    assert nearest(rules, "prod/a GET /x")[1][0][2] == "spiffe://prod.test/b"
    index, found = explained("service s { allow prod/b to any /x as r }", "prod/a PURGE /x")
    assert [one.coordinate for one in found.nearest.differences] == [Coordinate.PRINCIPAL]
    assert index.methods == {}


# -- paths one step away ------------------------------------------------------------------------

STEPS = {
    # another segment
    ("/a/b", "/a/c"): "/a/b",
    ("/b/a", "/c/a"): "/b/a",
    ("/b/*/d", "/c/x/d"): "/b/*/d",
    ("/a/b/**", "/a/c/d/e"): "/a/b/**",
    ("/a/b/*/**", "/a/c/d/e/f"): "/a/b/*/**",
    ("/*/b", "/x/c"): "/*/b",
    ("/p*/b", "/px/c"): "/p*/b",
    # one segment too many
    ("/a", "/a/b"): "/a",
    ("/a/*", "/a/b/c"): "/a/*",
    ("/a/*", "/a/b/c/d"): "/a/*",
    ("/a/* /a/b/c/d", "/a/x/y"): "/a/*",
    ("/a/b/* /a/c", "/a/b/x/y"): "/a/b/*",
    # one too few
    ("/a/b", "/a"): "/a/b",
    ("/a/*", "/a"): "/a/*",
    ("/a/*/*/**", "/a/x"): "/a/*/*/**",
    # an empty one at the end
    ("/a", "/a/"): "/a",
    ("/a/*  /a/b", "/a/"): "/a/*",
    ("/a/*", "/a/"): "/a/*",
    ("/a/*/*", "/a/x/"): "/a/*/*",
    ("/a/*/**", "/a/"): "/a/*/**",
    # two steps
    ("/a/b", "/c/d"): "/a/b",
    ("/a/b/c", "/a"): "/a/b/c",
    ("/a/*/*", "/a"): "/a/*/*",
    ("/a/*/*/**", "/a"): "/a/*/*/**",
    ("/a/*/c", "/b/x/d"): "/a/*/c",
    ("/a/*", "/b/x/y"): "/a/*",
    ("/a/b/*/**", "/a/c"): "/a/b/*/**",
    # and a nearer one before them
    ("/q/r /a/b /x/d", "/c/d"): "/x/d",
    ("/v1/c/d /c/e/f", "/c/d"): "/v1/c/d",
    ("/c/d /x/y", "/v1/c/d"): "/c/d",
    ("/x/y/z/** /a/{id}/c", "/b/1/c/d"): "/a/{id}/c",
}


@pytest.mark.parametrize(("targets", "path"), STEPS)
def test_the_path_with_the_fewest_segments_to_change_is_found(targets, path):
    rules = "\n".join(f"allow prod/a to GET {target}" for target in targets.split())

    found = nearest(rules, f"prod/a GET {path}")

    assert found[1] == [(Coordinate.PATH, path, STEPS[targets, path])]


@pytest.mark.parametrize("path", ["/a/x", "/a/x/y", "/a/x/"])
def test_a_pattern_that_matches_is_not_told_as_another_path(path):
    _, differences = nearest("allow prod/b to POST /a/*/** as r", f"prod/a GET {path}")

    assert [one[0] for one in differences] == [Coordinate.PRINCIPAL, Coordinate.METHOD]


def test_of_two_paths_the_one_that_differs_later_is_nearer():
    early, late, middle = (f"allow prod/a to GET {path}" for path in ("/q/b/c", "/a/b/q", "/a/q/c"))
    rules = f"{early} as early\n{late} as late\n{middle} as middle"

    assert nearest(rules, "prod/a GET /a/b/c")[0] == "late"


def test_effects_are_told_apart():
    found = considered(
        "service s { allow anyone to GET /x as yes\ndeny anyone to GET /x as no }", "prod/a GET /x"
    )

    assert {name: entry[0] for name, entry in found.items()} == {
        "yes": Effect.ALLOW.value,
        "no": Effect.DENY.value,
    }
