"""Why: the rules that a decision considered, and the nearest one that would have allowed.

Slower than deciding, and told only to callers with that right. What it names is what stands in the
way now; fixing it may uncover the next thing, so all differences of the nearest rule are listed.
"""

from collections.abc import Sequence
from typing import Final

from pdp.engine.decide import OTHER_METHOD, decide_path
from pdp.engine.explanation import (
    Considered,
    Coordinate,
    Difference,
    Explanation,
    Nearest,
    Outcome,
    Problem,
    Verdict,
)
from pdp.engine.nearest import nearest
from pdp.engine.reading import Reading, considered
from pdp.index.rule_index import RuleIndex, ServiceIndex
from pdp.paths import AmbiguousPathError, method_problem, readings
from pdp.vocabulary import Decision, Effect, Reason, Request

__all__ = [
    "Considered",
    "Coordinate",
    "Difference",
    "Explanation",
    "Nearest",
    "Outcome",
    "Problem",
    "Verdict",
    "explain",
]

_OVERRIDDEN: Final = Problem(code="overridden", sentence="a header overrides it")
_STALE: Final = Problem(
    code="stale", sentence="the source of the policies confirmed them longer ago than the operator permits"
)
_CONTRADICTED: Final = Problem(
    code="contradictory_readings",
    sentence="its readings are allowed with obligations that contradict each other",
)


def explain(index: RuleIndex, request: Request, decision: Decision) -> Explanation:
    """Explain a decision that was made for a request under an index. Never raises."""
    if decision.reason is Reason.STALE:
        return Explanation(considered=(), nearest=None, problem=_STALE)
    service = index.service(request.service)
    if decision.reason is Reason.AMBIGUOUS_METHOD:
        wrong = method_problem(request.method)
        problem = _OVERRIDDEN if wrong is None else Problem(code=wrong.value, sentence=wrong.sentence)
        return Explanation(considered=(), nearest=None, problem=problem)
    try:
        paths: Sequence[str] = readings(request.path, service.relaxations)
    except AmbiguousPathError as error:
        problem = Problem(code=error.problem.value, sentence=error.problem.sentence)
        return Explanation(considered=(), nearest=None, problem=problem)
    if decision.reason is Reason.AMBIGUOUS_PATH:
        return Explanation(considered=(), nearest=None, problem=_CONTRADICTED)
    if decision.reason is Reason.UNKNOWN_SERVICE:
        return Explanation(considered=(), nearest=None)
    if decision.effect is Effect.DENY:
        paths = [_denied_reading(index, service, request, paths)]
    read = [Reading(index, service, request, path) for path in paths]
    as_given = request.path.partition("?")[0]
    return Explanation(
        considered=considered(read, decision),
        nearest=nearest(read[0], decision) if decision.effect is Effect.DENY else None,
        reading=paths[0] if len(paths) == 1 and paths[0] != as_given else None,
    )


def _denied_reading(index: RuleIndex, service: ServiceIndex, request: Request, paths: Sequence[str]) -> str:
    """The reading that decided a deny: the first one that is not allowed."""
    bit = index.methods.get(request.method, OTHER_METHOD)
    for path in paths[:-1]:
        if decide_path(index, service, bit, request, path).effect is Effect.DENY:
            return path
    return paths[-1]
