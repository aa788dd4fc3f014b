"""Explanations of whatever is asked: none is missing, and none contradicts the decision."""

from random import Random

import pytest

from pdp.engine.explain import Explanation, Outcome, explain
from pdp.vocabulary import Decision, Effect, Reason
from tests.property.small_sets import World, worlds

WORLDS = 60
QUESTIONS = 60
_TOLD_ELSEWHERE = {Outcome.SATISFIED, Outcome.OTHER_METHOD}


def wrong(world: World, decision: Decision, found: Explanation) -> list[str]:
    """What an explanation says that cannot be."""
    columns = world.index.service("s").columns
    opens = any(columns.is_enforced_allow(row) for row in range(len(columns.atoms)))
    holding = {entry.rule for entry in found.considered if entry.outcome is Outcome.SATISFIED}
    ways = {
        "a deciding rule is not among those that hold": not set(decision.rules) <= holding,
        "nothing is said of why a rule does not hold": any(
            not entry.differences for entry in found.considered if entry.outcome not in _TOLD_ELSEWHERE
        ),
        "an allow holds where none was found": decision.reason is Reason.NO_RULE_MATCHED
        and any(
            entry.effect is Effect.ALLOW and not entry.shadow
            for entry in found.considered
            if entry.rule in holding
        ),
        "an allow is explained by a nearer one": decision.effect is Effect.ALLOW
        and found.nearest is not None,
        "there is an allow, and none is nearest": decision.effect is Effect.DENY
        and (found.nearest is not None) is not opens,
        "the nearest allow is no different": found.nearest is not None and not found.nearest.differences,
    }
    return [way for way, is_so in ways.items() if is_so]


@pytest.mark.parametrize("seed", range(2))
def test_explanations_agree_with_the_decisions(seed: int) -> None:
    random = Random(seed)
    for world in worlds(random, WORLDS):
        places = list(world.everywhere())
        for place in random.sample(places, min(QUESTIONS, len(places))):
            request, decision = world.request(place), world.decision(place)
            if decision.reason in {Reason.AMBIGUOUS_PATH, Reason.AMBIGUOUS_METHOD}:
                continue
            found = explain(world.index, request, decision)
            assert wrong(world, decision, found) == [], (world.text, request, found)
