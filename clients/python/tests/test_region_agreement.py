"""Who lies in a region: the client, its index and the executable form of the rule say the same."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clients.python.tests.regions import Answered, answered, as_service, lies_in, questions
from pdp_client.cache import Kept, RegionCache
from pdp_client.decision import Decision
from pdp_client.plain import as_plain
from pdp_client.question import Question
from pdp_client.region import contains
from tests.property.compiled import contains as contains_there


def of_itself(answer: Answered) -> bool:
    request, context = as_service(answer.question)
    return contains_there(answer.of_service, request, context)


@settings(max_examples=600)
@given(answered(), questions)
def test_membership_is_that_of_the_executable_form(answer: Answered, question: Question) -> None:
    assume(of_itself(answer))
    one, other = as_plain(question), as_plain(answer.question)
    assert one is not None
    assert other is not None

    assert contains(answer.region, other, other)
    assert contains(answer.region, one, other) is lies_in(answer, question)


@settings(max_examples=600)
@given(answered(), st.data())
def test_membership_is_that_of_the_executable_form_near_the_edge(
    answer: Answered, data: st.DataObject
) -> None:
    """Questions that differ in one member from the one that was answered."""
    assume(of_itself(answer))
    other = data.draw(questions)
    member = data.draw(st.sampled_from(["principal", "method", "path", "user", "context", "service"]))
    given_ = {name: getattr(answer.question, name) for name in Question.__struct_fields__}
    question = Question(**{**given_, member: getattr(other, member)})
    one, first = as_plain(question), as_plain(answer.question)
    assert one is not None
    assert first is not None

    assert contains(answer.region, one, first) is lies_in(answer, question)


def decision(number: int, answer: Answered) -> Decision:
    return Decision(
        effect="allow",
        reason="allowed",
        enforced=True,
        obligations=(),
        decision_id=str(number),
        revision="r",
        age_seconds=0,
        region=answer.region,
        max_age_ms=1000,
        counted=True,
    )


@settings(max_examples=300)
@given(st.lists(answered(), min_size=1, max_size=40), st.lists(questions, min_size=1, max_size=10))
def test_what_is_found_is_what_is_held_and_contains_the_question(
    answers: list[Answered], asked: list[Question]
) -> None:
    cache = RegionCache(clock=lambda: 0.0, wall_clock=lambda: 0.0)
    cache.told("r")
    held: dict[str, Answered] = {}
    for number, answer in enumerate(answers):
        if not of_itself(answer):
            continue
        found = cache.keep(answer.question, decision(number, answer), *cache.begin())
        assert found is Kept.YES
        held[str(number)] = answer
        assert (hit := cache.find(answer.question)) is not None
        assert lies_in(held[hit.decision_id], answer.question)

    for question in asked:
        hit = cache.find(question)
        if hit is not None:
            assert lies_in(held[hit.decision_id], question)
        elif len(held) <= 8:  # so few never make room for one another
            assert not any(lies_in(answer, question) for answer in held.values())
