"""The nearest allow: which one it is, what it is called, and how far is looked for it."""

import pytest

from pdp.engine import nearest as search
from pdp.engine.decide import decide
from pdp.engine.explain import explain
from pdp.vocabulary import Effect
from tests.engine.asking import ask, index_of
from tests.engine.explaining import DECLARED, explained

# -- who ------------------------------------------------------------------------------------------

WHO = {
    "few": "group few",
    "many": "group many",
    "few except prod/v": "group few except spiffe://prod.test/v",
    "rest": "group rest",
    "rest except few": "group rest except group few",
    "any principal of dev except prod/b": "spiffe://dev.test/*/** except spiffe://prod.test/b",
}


@pytest.mark.parametrize("principals", WHO)
def test_a_group_is_called_by_its_name(principals):
    _, found = explained(f"allow {principals} to GET /x", "prod/a GET /x")

    assert found.nearest.differences[0].wanted.replace("one of ", "") == WHO[principals].replace(
        "one of ", ""
    )
    assert "one of one of" not in found.nearest.differences[0].wanted


# -- the nearest allow ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "question"),
    [
        # the path itself, then this principal, then the path that differs later
        ("allow prod/b to GET /q\nallow prod/a to GET /y/z as r", "prod/a GET /x"),
        ("allow prod/a to GET /y/q\nallow prod/b to POST /x as r", "prod/a GET /x"),
        ("allow prod/b to GET /q/r/s/t\nallow prod/a to POST /q/r/s/u as r", "prod/a GET /x/y/z/w"),
        # a condition counts as well
        ("allow prod/a to GET /x when inside and live\nallow prod/a to GET /y as r", "prod/a GET /x"),
        ("allow prod/a to GET /y when inside\nallow prod/a to GET /z as r", "prod/a GET /x"),
        # and `**` takes any number of segments
        ("allow prod/a to GET /p/q\nallow prod/a to GET /a/** as r", "prod/a GET /b/c/d/e/f"),
        ("allow prod/a to GET /**/z/q\nallow prod/a to GET /**/z as r", "prod/a GET /b/c/d/e/f"),
    ],
)
def test_the_allow_with_the_fewest_steps_is_nearest(rules, question):
    index, found = explained(rules, question)

    assert index.rule("s", found.nearest.rule).name == "s/r"


@pytest.mark.parametrize("bound", ["MAX_NEAREST_SCANNED", "MAX_NEAREST_COMPARED"])
def test_the_search_is_bounded_and_looks_at_this_principal_first(monkeypatch, bound):
    rules = "\n".join(f"allow prod/{who} to GET /far/away/from/{who}" for who in "bcade")
    monkeypatch.setattr(search, "neighbours", lambda *_: ())

    def found(most):
        monkeypatch.setattr(search, bound, most)
        index, explanation = explained(rules, "prod/a GET /x")
        rule = explanation.nearest and index.rule("s", explanation.nearest.rule)
        return rule and rule.line - DECLARED.count("\n") - 6

    lines = [found(most) for most in (0, 1, 2, 3, 5)]

    assert lines == ([None, 1, 1, 3, 3] if bound == "MAX_NEAREST_SCANNED" else [None, 3, 3, 3, 3])


def test_only_so_many_conditions_are_taken_apart(monkeypatch):
    hard = "\n".join(f"allow prod/a to GET /x when inside and live as h{number}" for number in range(3))
    rules = f"{hard}\nallow prod/a to GET /x when inside as easy"

    def found(most):
        monkeypatch.setattr(search, "MAX_NEAREST_TAKEN_APART", most)
        index, explanation = explained(rules, "prod/a GET /x")
        return explanation.nearest and index.rule("s", explanation.nearest.rule).name

    assert [found(most) for most in (0, 3, 4)] == [None, "s/h0", "s/easy"]


def test_a_rule_without_a_condition_takes_no_room_among_those_that_are_taken_apart(monkeypatch):
    monkeypatch.setattr(search, "MAX_NEAREST_TAKEN_APART", 1)

    index, found = explained(
        "allow prod/a to GET /x when inside and live as hard\nallow prod/a to POST /x as plain",
        "prod/a GET /x",
    )

    assert index.rule("s", found.nearest.rule).name == "s/plain"


def test_a_rule_with_a_condition_that_holds_is_as_near_as_one_without():
    """Of as many steps the one about the same principal; here there is a deny in the way of both."""
    rules = """
        allow prod/b to GET /x as other
        allow prod/a to POST /x when has header.x as own
        deny anyone to any /** as no
    """

    index, found = explained(rules, "prod/a GET /x", context={"header.x": ("1",)})

    assert index.rule("s", found.nearest.rule).name == "s/own"


def test_the_principals_own_rows_are_not_compared_twice(monkeypatch):
    monkeypatch.setattr(search, "MAX_NEAREST_COMPARED", 2)
    monkeypatch.setattr(search, "neighbours", lambda *_: ())

    index, found = explained(
        "allow prod/a to GET /far/away/from as own\nallow prod/b to GET /y as other", "prod/a GET /x"
    )

    assert index.rule("s", found.nearest.rule).name == "s/other"


def test_the_principals_own_rows_on_the_path_leave_room_for_those_of_others(monkeypatch):
    monkeypatch.setattr(search, "MAX_NEAREST_SCANNED", 0)
    monkeypatch.setattr(search, "MAX_NEAREST_COMPARED", 1)

    index, found = explained(
        "allow prod/a to POST /x when inside as own\nallow prod/b to GET /x as other", "prod/a GET /x"
    )

    assert index.rule("s", found.nearest.rule).name == "s/other"


def test_in_a_service_of_many_rules_one_that_goes_on_below_a_path_beside_is_found(monkeypatch):
    monkeypatch.setattr(search, "MAX_NEAREST_SCANNED", 0)

    index, found = explained(
        "allow prod/a to GET /v1/charges/** as below\nallow prod/a to GET /v1/charges/x/y",
        "prod/a GET /v1/charge",
    )

    assert index.rule("s", found.nearest.rule).name == "s/below"


def test_many_rows_on_the_path_about_others_are_compared_up_to_a_bound(monkeypatch):
    rules = "allow prod/b to POST /x as far\nallow prod/c to GET /x as near"
    monkeypatch.setattr(search, "MAX_NEAREST_SCANNED", 0)

    def found(most):
        monkeypatch.setattr(search, "MAX_NEAREST_COMPARED", most)
        index, explanation = explained(rules, "prod/a GET /x")
        return explanation.nearest and index.rule("s", explanation.nearest.rule).name

    assert [found(most) for most in (0, 1, 2)] == [None, "s/far", "s/near"]


def test_nothing_opens_a_service_that_is_not_declared():
    index = index_of("allow anyone to POST /x on any service\ndeny anyone to GET /x on any service as no")
    request = ask("prod/a GET /x", service="nowhere")

    found = explain(index, request, decide(index, request))

    assert [entry.effect for entry in found.considered] == [Effect.DENY, Effect.ALLOW]
    assert found.nearest is None
