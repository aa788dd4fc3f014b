"""Explanations of paths that are read in several ways, or in none."""

import pytest

from pdp.engine.decide import decide
from pdp.engine.explain import Coordinate, Outcome, Problem, explain
from pdp.paths import MethodProblem, PathProblem
from tests.engine.asking import NOW, ask, index_of
from tests.engine.explaining import explained, told

A = Coordinate
# -- readings and problems ----------------------------------------------------------------------------

RELAXED = """
    paths may have merged-slashes, any-case
    allow anyone to any /** as all
    deny anyone to any /x/adm/** as noadm
    allow prod/a to GET /x/y as own
"""


def test_the_reading_that_was_denied_is_explained():
    index, found = explained(RELAXED.replace("any-case", "trailing-slash"), "prod/a GET /x//adm")

    assert [index.rule("s", entry.rule).name for entry in found.considered] == ["s/noadm", "s/all"]
    assert found.reading == "/x/adm"
    assert found.nearest is not None


def test_every_reading_of_an_allow_is_explained():
    bare, slash = "allow anyone to GET /x as bare", "allow anyone to GET /x/ as slash"
    rules = f"paths may have trailing-slash\n{bare}\n{slash}"
    index, found = explained(rules, "prod/a GET /x")

    assert {index.rule("s", entry.rule).name: entry.outcome for entry in found.considered} == {
        "s/bare": Outcome.SATISFIED,
        "s/slash": Outcome.SATISFIED,
    }
    assert found.reading is None


def test_of_readings_the_first_that_is_not_allowed_is_the_one():
    rules = "paths may have trailing-slash\nallow anyone to GET /x as bare"

    _, found = explained(rules, "prod/a GET /x")

    assert found.reading == "/x/"
    assert told(found.nearest.differences) == [(A.PATH, "/x/", "/x", None)]


def test_a_path_is_told_as_it_was_read():
    _, found = explained("allow prod/b to GET /users/@me", "prod/a GET /users/%40me?x=1")

    assert found.reading == "/users/@me"
    assert explained("allow prod/b to GET /u", "prod/a GET /u?x=1")[1].reading is None


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ("prod/a GET /a/../b", PathProblem.DOT_SEGMENT),
        ("prod/a GET /a%2Fb", PathProblem.ENCODED_SLASH),
        ("prod/a get /x", MethodProblem.LOWER_CASE),
        ("prod/a G(T /x", MethodProblem.NOT_A_TOKEN),
    ],
)
def test_what_is_ambiguous_is_told_with_its_code(question, problem):
    _, found = explained("allow anyone to any /**", question)

    assert found.problem == Problem(code=problem.value, sentence=problem.sentence)


def test_a_header_that_overrides_the_method_is_the_problem():
    _, found = explained(
        "allow anyone to any /**", "prod/a GET /x", context={"header.x-method-override": ("PUT",)}
    )

    assert found.problem is not None
    assert found.problem.code == "overridden"


def test_readings_with_contradictory_obligations_are_the_problem():
    rules = """paths may have trailing-slash
        allow anyone to GET /x set header x-a = "1"
        allow anyone to GET /x/ set header x-a = "2"
    """
    _, found = explained(rules, "prod/a GET /x")

    assert found.problem is not None
    assert found.problem.code == "contradictory_readings"


def test_a_service_that_is_not_declared_has_nothing_to_explain():
    _, found = explained("allow anyone to any /**", "prod/a GET /x", service="nowhere", now=NOW)
    index = index_of("allow anyone to any /** on any service")
    request = ask("prod/a GET /x", service="nowhere")
    everywhere = explain(index, request, decide(index, request))

    for each in (found, everywhere):
        assert (each.considered, each.nearest, each.problem, each.reading) == ((), None, None, None)
