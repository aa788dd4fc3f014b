"""Protocol buffers to and from what JSON says: one reader of answers serves both.

INVARIANT: what a message says and we do not know is never left out in silence. In a region it becomes a key
that nobody knows, in an obligation a kind that nobody knows; an enum's unknown value becomes a word that
stands for nothing.
"""

from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from pdp_client.errors import BadQuestionError
from pdp_client.question import (
    Anonymous,
    AttributeValue,
    Certificate,
    Dns,
    Forwarded,
    Jwt,
    Principal,
    Question,
    User,
    UserToken,
)
from pdp_client.v1 import decision_pb2 as v1

__all__ = ["answer_body", "question_message"]

_DECISION: Final = {v1.DECISION_ALLOW: "allow", v1.DECISION_DENY: "deny"}
_REASON: Final = {
    v1.REASON_ALLOWED: "allowed",
    v1.REASON_OBSERVED: "observed",
    v1.REASON_DENIED_BY_RULE: "denied_by_rule",
    v1.REASON_NO_RULE_MATCHED: "no_rule_matched",
    v1.REASON_AMBIGUOUS_PATH: "ambiguous_path",
    v1.REASON_AMBIGUOUS_METHOD: "ambiguous_method",
    v1.REASON_UNKNOWN_SERVICE: "unknown_service",
    v1.REASON_STALE: "stale",
    v1.REASON_QUARANTINED: "quarantined",
}
_REUSE: Final = {v1.REUSE_COUNTED: "counted"}
_UNKNOWN: Final = "unknown"


# -- questions -----------------------------------------------------------------------------


def question_message(question: Question, *, explain: bool) -> v1.Question:
    """A question as a message.

    Raises:
        BadQuestionError: It holds a value that no question has.
    """
    try:
        return v1.Question(
            principal=_principal(question.principal),
            method=question.method,
            path=question.path,
            service=question.service,
            host=question.host,
            user=None if question.user is None else _user(question.user),
            context=[_attribute(name, value) for name, value in question.context.items()],
            at_least=question.at_least,
            explain=True if explain else None,
        )
    except (TypeError, ValueError) as error:  # a value out of range, or half of a surrogate pair
        raise BadQuestionError("wrong_type", f"the question cannot be written: {error}") from error


def _principal(principal: Principal) -> v1.Principal:
    match principal:
        case str():
            return v1.Principal(spiffe=principal)
        case Dns(name=name):
            return v1.Principal(dns=name)
        case Anonymous():
            return v1.Principal(anonymous=True)
        case Jwt(token=token):
            return v1.Principal(jwt=token)
        case Certificate(pem=pem):
            return v1.Principal(certificate=pem)
        case Forwarded(form=form, headers=headers):
            lines = [v1.HeaderLine(name=name, value=value) for name, value in headers]
            return v1.Principal(forwarded=v1.Forwarded(form=form, headers=lines))
        case _:
            raise BadQuestionError("invalid_principal", "the principal is of no kind that there is")


def _user(user: User | UserToken) -> v1.User:
    if isinstance(user, UserToken):
        return v1.User(jwt=user.token)
    return v1.User(issuer=user.issuer, subject=user.subject, groups=user.groups)


def _attribute(name: str, value: AttributeValue) -> v1.Attribute:
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


# -- answers -------------------------------------------------------------------------------


def answer_body(answer: v1.Answer) -> dict[str, Any]:
    """An answer as JSON has it."""
    return {
        "decision": _DECISION.get(answer.decision, _UNKNOWN),
        "reason": _REASON.get(answer.reason, _UNKNOWN),
        "enforced": answer.enforced,
        "rules": [_rule(rule) for rule in answer.rules],
        "decision_id": answer.decision_id,
        "revision": answer.revision,
        "age_seconds": answer.age_seconds,
        "region": _region(answer.region) if answer.HasField("region") else None,
        "max_age_ms": answer.max_age_ms,
        "valid_until": answer.valid_until.ToJsonString() if answer.HasField("valid_until") else None,
        "obligations": [_obligation(duty) for duty in answer.obligations],
        "reuse": _REUSE.get(answer.reuse, "no"),
        **({"shadow": _shadow(answer.shadow)} if answer.HasField("shadow") else {}),
        **({"explanation": _explanation(answer.explanation)} if answer.HasField("explanation") else {}),
    }


def _rule(rule: v1.Rule) -> dict[str, Any]:
    because = {"because": rule.because} if rule.HasField("because") else {}
    return {"name": rule.name, "at": rule.at, **because}


def _region(region: v1.Region) -> dict[str, Any]:
    if _says_more(region):
        return {_UNKNOWN: True}
    return {
        "service": region.service,
        "principal": region.principal if region.HasField("principal") else None,
        "method": region.method if region.HasField("method") else None,
        "path": [_step(step) for step in region.path],
        "rest": region.rest,
        "context": {attribute.name: _value(attribute) for attribute in region.context},
        "evidence": list(region.evidence),
        # In a region an attribute stands once; of two the last would win in silence.
        **({} if len({each.name for each in region.context}) == len(region.context) else {_UNKNOWN: True}),
    }


def _step(step: v1.Step) -> str | dict[str, list[str]] | None:
    match step.WhichOneof("kind"):
        case "segment":
            return step.segment
        case "any":
            return None
        case "excluding":
            found = step.excluding
            return {
                "not": list(found.segments),
                "not_prefix": list(found.prefixes),
                "not_suffix": list(found.suffixes),
            }
        case _:
            return {_UNKNOWN: []}


def _value(attribute: v1.Attribute) -> Any:
    match attribute.WhichOneof("value"):
        case "text":
            return attribute.text
        case "integer":
            return attribute.integer
        case "boolean":
            return attribute.boolean
        case "texts":
            return list(attribute.texts.items)
        case "absent":
            return None
        case _:
            return {_UNKNOWN: True}  # no attribute has such a value: the region is not known


def _obligation(duty: v1.Obligation) -> dict[str, Any]:
    kind = duty.WhichOneof("kind")
    if kind == "set_header" and not _says_more(duty):
        return {"set_header": duty.set_header.name, "value": duty.set_header.value}
    if kind == "remove_header" and not _says_more(duty):
        return {"remove_header": duty.remove_header}
    return {_UNKNOWN: True}


def _shadow(shadow: v1.Shadow) -> dict[str, Any]:
    return {
        "decision": _DECISION.get(shadow.decision, _UNKNOWN),
        "reason": _REASON.get(shadow.reason, _UNKNOWN),
        "rules": [_rule(rule) for rule in shadow.rules],
    }


def _explanation(explanation: v1.Explanation) -> dict[str, Any]:
    nearest = explanation.nearest if explanation.HasField("nearest") else None
    problem = explanation.problem
    return {
        "considered": [
            {
                "rule": _rule(found.rule),
                "effect": _DECISION.get(found.effect, _UNKNOWN),
                "shadow": found.shadow,
                "outcome": found.outcome,
                **_differences(found.differences),
            }
            for found in explanation.considered
        ],
        "nearest": None
        if nearest is None
        else {"rule": _rule(nearest.rule), "differences": [], **_differences(nearest.differences)},
        **({"reading": explanation.reading} if explanation.HasField("reading") else {}),
        **(
            {"problem": {"code": problem.code, "sentence": problem.sentence}}
            if explanation.HasField("problem")
            else {}
        ),
    }


def _differences(found: Any) -> dict[str, Any]:
    if not found:
        return {}
    return {
        "differences": [
            {
                "coordinate": each.coordinate,
                "given": each.given,
                "wanted": each.wanted,
                **({"truth": each.truth} if each.HasField("truth") else {}),
            }
            for each in found
        ]
    }


def _says_more(message: Message) -> bool:
    """Whether there is anything in a message, or in one inside it, that we do not know."""
    if len(UnknownFieldSet(message)) > 0:
        return True
    return any(
        _says_more(item)
        for descriptor, value in message.ListFields()
        if descriptor.message_type is not None
        for item in (value if descriptor.is_repeated else (value,))
    )
