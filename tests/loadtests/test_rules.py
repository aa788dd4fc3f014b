"""The answers that questions of the comparison should get: by naive matching, by pdp, casbin and Cedar."""

from collections import Counter

import pytest

from loadtests.bench.peers import casbin_inside, cedar_inside, cerbos, opa, pdp_inside
from loadtests.bench.peers.inside import checked, one_round, share
from loadtests.bench.peers.rules import Question, Rule, questions, rules

WORKS = [
    *((pdp_inside, name) for name in pdp_inside.WORKS),
    *((casbin_inside, name) for name in casbin_inside.WORKS),
    *((cedar_inside, name) for name in cedar_inside.WORKS),
]


def matches(rule: Rule, question: Question) -> bool:
    parts, asked = rule.path.split("/"), question.path.split("/")
    return (rule.principal, rule.service, rule.method) == question[:3] and (
        len(parts) == len(asked)
        and all(part in {"{id}", "{part}", given} for part, given in zip(parts, asked, strict=True))
    )


@pytest.mark.parametrize("count", [10, 1000])
def test_each_question_is_what_it_says_it_is(count: int) -> None:
    kept = list(rules(count))

    for question in questions(count, 500):
        effects = {rule.allows for rule in kept if matches(rule, question)}
        kind = {(): "no match", (True,): "allowed", (False,): "denied", (False, True): "overridden"}

        assert question.kind == kind[tuple(sorted(effects))], question
        assert question.allowed is (effects == {True})


@pytest.mark.parametrize("count", [10, 100, 1000, 100_000])
def test_there_are_as_many_rules_as_were_asked_for_and_none_twice(count: int) -> None:
    kept = list(rules(count))

    assert len(kept) == len(set(kept)) == count


def test_of_ten_questions_seven_are_allowed_two_match_nothing_and_one_is_denied() -> None:
    kinds = Counter(question.kind for question in questions(1000))

    assert kinds == {"allowed": 7000, "no match": 2000, "denied": 500, "overridden": 500}


def test_the_same_seed_asks_the_same() -> None:
    assert questions(1000, 50, seed=3) == questions(1000, 50, seed=3) != questions(1000, 50, seed=4)


@pytest.mark.parametrize(("module", "name"), WORKS)
@pytest.mark.parametrize("count", [10, 100])
def test_everyone_answers_as_they_should(module, name: str, count: int) -> None:
    ask, prepare = module.works(count, [name])[name]
    asked = questions(count, 200)

    checked(ask, [prepare(each) for each in asked], asked)


def test_a_wrong_answer_ends_the_benchmark() -> None:
    asked = questions(10, 20)

    with pytest.raises(AssertionError):
        checked(lambda _: True, asked, asked)


def test_a_round_asks_evenly_what_it_has_time_for() -> None:
    assert share(bool, range(10_000)) == list(range(10_000))
    assert one_round(bool, range(100))["per_second"] > 0


def test_actions_of_cerbos_are_methods_and_paths() -> None:
    assert cerbos.action("GET", "/v1/r3/{id}/notes") == "GET:v1:r3:*:notes"
    assert cerbos.action("GET", "/v1/r3/i7") == "GET:v1:r3:i7"


def test_data_of_opa_leads_to_few_patterns() -> None:
    found = opa.data(rules(10))
    (who,) = found["allows"]["s0"]

    assert found["allows"]["s0"][who]["GET"]["r0"] == [["v1", "r0", "*"], ["v1", "r0", "*", "*"]]
    assert found["denies"]["s0"][who] == {
        "GET": {"r0": [["v1", "r0", "*", "secret"]]},
        "DELETE": {"r1": [["v1", "r1", "*"]]},
    }
