"""From an answer as HTTP sends it to its message.

INVARIANT: a value that has no place in a message is a defect and raises; nothing is sent that says
less than the answer, such as a step of a region that could be taken for any segment.
"""

from typing import Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import UNSET, UnsetType

from pdp.adapters.answer_body import (
    Answer,
    DifferenceBody,
    ExplanationBody,
    ProblemBody,
    RegionBody,
    RuleRef,
    ShadowBody,
    StepBody,
)
from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.adapters.grpc.v1.raw_batch_pb2 import RawResult
from pdp.adapters.schemas import ErrorBody
from pdp.store.versions import Published
from pdp.vocabulary import AttributeValue

__all__ = [
    "REUSE",
    "answer_message",
    "answer_result",
    "batch_message",
    "error_result",
    "heartbeat",
    "revision_message",
]

_DECISION: Final = {"allow": v1.DECISION_ALLOW, "deny": v1.DECISION_DENY}
_REASON: Final = {
    "allowed": v1.REASON_ALLOWED,
    "observed": v1.REASON_OBSERVED,
    "denied_by_rule": v1.REASON_DENIED_BY_RULE,
    "no_rule_matched": v1.REASON_NO_RULE_MATCHED,
    "ambiguous_path": v1.REASON_AMBIGUOUS_PATH,
    "ambiguous_method": v1.REASON_AMBIGUOUS_METHOD,
    "unknown_service": v1.REASON_UNKNOWN_SERVICE,
    "stale": v1.REASON_STALE,
    "quarantined": v1.REASON_QUARANTINED,
}
#: What is said of using an answer again.
REUSE: Final = {"no": v1.REUSE_NO, "counted": v1.REUSE_COUNTED}
_STEP_NAMES: Final = frozenset({"not", "not_prefix", "not_suffix"})


def answer_message(answer: Answer) -> v1.Answer:
    """One answer."""
    message = v1.Answer(
        decision=_DECISION[answer.decision],
        reason=_REASON[answer.reason],
        enforced=answer.enforced,
        rules=[_rule(rule) for rule in answer.rules],
        decision_id=answer.decision_id,
        revision=answer.revision,
        age_seconds=answer.age_seconds,
        region=None if answer.region is None else _region(answer.region),
        max_age_ms=answer.max_age_ms,
        obligations=[_obligation(duty) for duty in answer.obligations],
        reuse=REUSE[answer.reuse],
        shadow=_shadow(answer.shadow) if isinstance(answer.shadow, ShadowBody) else None,
        explanation=_explanation(answer.explanation)
        if isinstance(answer.explanation, ExplanationBody)
        else None,
    )
    if answer.valid_until is not None:
        message.valid_until.CopyFrom(_instant(answer.valid_until))
    return message


def answer_result(answer: bytes) -> Message:
    """A result with an answer that is written already."""
    return RawResult(answer=answer)


def error_result(error: ErrorBody) -> v1.Result:
    """A result with an error in the place of an answer."""
    return v1.Result(error=v1.Error(code=error.error.code, message=error.error.message))


def batch_message(results: list[Answer | ErrorBody]) -> v1.DecideBatchResponse:
    """The answers of a batch, in order."""
    return v1.DecideBatchResponse(results=[_result(result) for result in results])


def _result(result: Answer | ErrorBody) -> v1.Result:
    if isinstance(result, ErrorBody):
        return error_result(result)
    return v1.Result(answer=answer_message(result))


def revision_message(published: Published) -> v1.RevisionEvent:
    """A revision, as it is told to those who watch."""
    revision = v1.Revision(revision=published.snapshot.revision, number=published.number)
    return v1.RevisionEvent(revision=revision)


def heartbeat() -> v1.RevisionEvent:
    """Nothing happened."""
    return v1.RevisionEvent(heartbeat=v1.Heartbeat())


def _rule(rule: RuleRef) -> v1.Rule:
    return v1.Rule(name=rule.name, at=rule.at, because=None if rule.because is UNSET else rule.because)


def _region(region: RegionBody) -> v1.Region:
    return v1.Region(
        service=region.service,
        principal=region.principal,
        method=region.method,
        path=[_step(step) for step in region.path],
        rest=region.rest,
        context=[_attribute(name, value) for name, value in region.context.items()],
        evidence=region.evidence if isinstance(region.evidence, list) else (),
    )


def _step(step: StepBody) -> v1.Step:
    if step is None:
        return v1.Step(any=v1.AnySegment())
    if isinstance(step, str):
        return v1.Step(segment=step)
    if not step.keys() <= _STEP_NAMES:
        raise ValueError("a step of a region says what has no place in a message")
    excluding = v1.Excluding(
        segments=step.get("not", ()), prefixes=step.get("not_prefix", ()), suffixes=step.get("not_suffix", ())
    )
    return v1.Step(excluding=excluding)


def _attribute(name: str, value: AttributeValue | None) -> v1.Attribute:
    match value:
        case None:
            return v1.Attribute(name=name, absent=v1.Absent())
        case bool():  # before int: it is one
            return v1.Attribute(name=name, boolean=value)
        case int():
            return v1.Attribute(name=name, integer=value)
        case str():
            return v1.Attribute(name=name, text=value)
        case _:
            return v1.Attribute(name=name, texts=v1.Texts(items=value))


def _obligation(duty: dict[str, str]) -> v1.Obligation:
    match duty:
        case {"set_header": name, "value": value}:
            return v1.Obligation(set_header=v1.Header(name=name, value=value))
        case {"remove_header": name}:
            return v1.Obligation(remove_header=name)
        case _:
            raise ValueError("an obligation has no place in a message")


def _shadow(shadow: ShadowBody) -> v1.Shadow:
    return v1.Shadow(
        decision=_DECISION[shadow.decision],
        reason=_REASON[shadow.reason],
        rules=[_rule(rule) for rule in shadow.rules],
    )


def _explanation(explanation: ExplanationBody) -> v1.Explanation:
    considered = [
        v1.ConsideredRule(
            rule=_rule(found.rule),
            effect=_DECISION[found.effect],
            shadow=found.shadow,
            outcome=found.outcome,
            differences=_differences(found.differences),
        )
        for found in explanation.considered
    ]
    nearest, problem = explanation.nearest, explanation.problem
    return v1.Explanation(
        considered=considered,
        nearest=None
        if nearest is None
        else v1.NearestRule(rule=_rule(nearest.rule), differences=_differences(nearest.differences)),
        reading=None if explanation.reading is UNSET else explanation.reading,
        problem=v1.Problem(code=problem.code, sentence=problem.sentence)
        if isinstance(problem, ProblemBody)
        else None,
    )


def _differences(differences: list[DifferenceBody] | UnsetType) -> list[v1.Difference]:
    return [
        v1.Difference(
            coordinate=found.coordinate,
            given=found.given,
            wanted=found.wanted,
            truth=None if found.truth is UNSET else found.truth,
        )
        for found in differences or ()
    ]


def _instant(text: str) -> Timestamp:
    instant = Timestamp()
    instant.FromJsonString(text)
    return instant
