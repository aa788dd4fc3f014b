"""From a `Decision` to the answer as it leaves, in the shape of `pdp.adapters.answer_body`."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import UNSET, UnsetType

from pdp.adapters.answer_body import (
    Answer,
    ConsideredRule,
    DifferenceBody,
    ExplanationBody,
    NearestRule,
    ProblemBody,
    RegionBody,
    RuleRef,
    ShadowBody,
    StepBody,
)
from pdp.engine.explain import Difference, Explanation
from pdp.index.rule_index import RuleIndex
from pdp.vocabulary import (
    Decision,
    Excluding,
    Millis,
    Obligation,
    ObligationKind,
    PathStep,
    Region,
    Request,
)

__all__ = ["instant_text", "max_age_of", "reuse_of", "to_answer"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REUSE: Final = ObligationKind.REUSE_AT_MOST


def to_answer(  # noqa: PLR0913 -- each is a part of the answer that the decision does not hold
    decision: Decision,
    request: Request,
    index: RuleIndex,
    *,
    revision: str,
    age_seconds: int,
    decision_id: str,
    max_age_limit_ms: Millis,
    may_explain: bool,
    now: Millis | None = None,
    explanation: Explanation | None = None,
    evidence: tuple[str, ...] = (),
) -> Answer:
    """A decision in the form in which it is sent.

    Args:
        decision: The decision.
        request: What it was made for.
        index: What it was made under.
        revision: The name of that version.
        age_seconds: How long ago the source last confirmed it.
        decision_id: The answer's own name.
        max_age_limit_ms: The longest reuse that operator and evidence permit.
        may_explain: Whether whoever asked may learn more of a rule than its name and place.
        now: The instant of the answer; by default that of the request.
        explanation: What `pdp.engine.explain` said, for those who may know it.
        evidence: Members of the question that were proven.
    """
    if explanation is not None and not may_explain:
        raise ValueError("an explanation is only for those who may explain")
    name = _Namer(index, request.service, reasons=may_explain)
    max_age = max_age_of(decision, request.now if now is None else now, max_age_limit_ms)
    shadow: ShadowBody | UnsetType = UNSET
    if decision.shadow is not None:
        shadow = ShadowBody(
            decision=decision.shadow.effect.value,
            reason=decision.shadow.reason.value,
            rules=[name(rule) for rule in decision.shadow.rules],
        )
    return Answer(
        decision=decision.effect._value_,  # `value` is a call
        reason=decision.reason._value_,
        enforced=decision.enforced,
        rules=[name(rule) for rule in decision.rules],
        decision_id=decision_id,
        revision=revision,
        age_seconds=age_seconds,
        region=None if decision.region is None else _region(decision.region, evidence),
        max_age_ms=max_age,
        valid_until=None if decision.valid_until is None else instant_text(decision.valid_until),
        obligations=[_obligation(duty) for duty in decision.obligations if duty.kind is not _REUSE]
        if decision.obligations
        else [],
        reuse=reuse_of(max_age),
        shadow=shadow,
        explanation=UNSET if explanation is None else _explanation(explanation, name),
    )


class _Namer:
    """Rules of one service by number, as they are told to whoever asked."""

    def __init__(self, index: RuleIndex, service: str, *, reasons: bool) -> None:
        self._index = index
        self._service = service
        self._reasons = reasons

    def __call__(self, rule: int) -> RuleRef:
        text = self._index.rule(self._service, rule)
        told = self._reasons and text.because
        return RuleRef(name=text.name, at=f"{text.file}:{text.line}", because=text.because if told else UNSET)


def reuse_of(max_age: Millis) -> str:
    """What is asked of whoever uses an answer again that may be for so long."""
    return "counted" if max_age else "no"


def max_age_of(decision: Decision, now: Millis, limit: Millis) -> Millis:
    """The least of the limit, the time that is left and what the rules permit; 0 without a region."""
    if decision.region is None:
        return 0
    if decision.valid_until is None and not decision.obligations:
        return max(0, limit)
    bounds = [limit, *(int(duty.value) for duty in decision.obligations if duty.kind is _REUSE)]
    if decision.valid_until is not None:
        bounds.append(decision.valid_until - now)
    return max(0, min(bounds))


def _region(region: Region, evidence: tuple[str, ...]) -> RegionBody:
    return RegionBody(
        service=region.service,
        principal=region.principal,
        method=region.method,
        path=[step if step is None or step.__class__ is str else _step(step) for step in region.path],
        rest=region.rest,
        context=dict(region.context) if region.context else {},
        evidence=list(evidence) if evidence else UNSET,
    )


def _step(step: PathStep) -> StepBody:
    if not isinstance(step, Excluding):
        return step
    named: Mapping[str, tuple[str, ...]] = {
        "not": step.segments,
        "not_prefix": step.prefixes,
        "not_suffix": step.suffixes,
    }
    return {name: texts for name, texts in named.items() if texts}


def _obligation(duty: Obligation) -> dict[str, str]:
    if duty.kind is ObligationKind.SET_HEADER:
        return {"set_header": duty.name, "value": duty.value}
    return {"remove_header": duty.name}


def _explanation(explanation: Explanation, name: _Namer) -> ExplanationBody:
    considered = [
        ConsideredRule(
            rule=name(found.rule),
            effect=found.effect.value,
            shadow=found.shadow,
            outcome=found.outcome.value,
            differences=_differences(found.differences) or UNSET,
        )
        for found in explanation.considered
    ]
    nearest, problem = explanation.nearest, explanation.problem
    return ExplanationBody(
        considered=considered,
        nearest=None
        if nearest is None
        else NearestRule(rule=name(nearest.rule), differences=_differences(nearest.differences)),
        reading=UNSET if explanation.reading is None else explanation.reading,
        problem=UNSET if problem is None else ProblemBody(code=problem.code, sentence=problem.sentence),
    )


def _differences(differences: Iterable[Difference]) -> list[DifferenceBody]:
    return [
        DifferenceBody(
            coordinate=found.coordinate.value,
            given=found.given,
            wanted=found.wanted,
            truth=UNSET if found.truth is None else found.truth.value,
        )
        for found in differences
    ]


def instant_text(instant: Millis) -> str:
    """An instant as RFC 3339 in UTC, with milliseconds only where there are some."""
    moment = _EPOCH + timedelta(milliseconds=instant)
    text = moment.isoformat(timespec="milliseconds" if instant % 1000 else "seconds")
    return text.removesuffix("+00:00") + "Z"
