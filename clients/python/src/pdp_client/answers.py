"""Answers as they arrive: read in full, or none.

An allow counts only if all of it is understood: its reason, each obligation, and what bounds its reuse. A
region with anything in it that we do not know holds for the one request alone. What is said besides, such as
an explanation, may grow.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from pdp_client.decision import Decision, Obligation, RemoveHeader, Rule, SetHeader
from pdp_client.errors import CouldNotAnswerError, UnreadableAnswerError
from pdp_client.limits import MAX_JSON_DEPTH
from pdp_client.refusals import refusal
from pdp_client.region import Excluding, PathStep, Region, pin

__all__ = ["decision_of", "parse_json", "read_answer", "read_batch", "read_error"]

_T = TypeVar("_T")
_ALLOWED_BY: Final = frozenset({"allowed", "observed"})
_STEP_KEYS: Final = frozenset({"not", "not_prefix", "not_suffix"})
_EVIDENCE: Final = frozenset({"principal", "user"})
#: A name of an answer: a ULID, in the only form that reports of reuse take.
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}").fullmatch
_MAX_MILLIS: Final = 2**63 - 1
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch
_FIELD_VALUE: Final = re.compile(
    r"(?:[!-~\x80-\U0010ffff](?:[ \t!-~\x80-\U0010ffff]*[!-~\x80-\U0010ffff])?)?"
).fullmatch


class _Answer(msgspec.Struct):
    """The fields of an answer that count; see `docs/api.md` of pdp."""

    decision: str
    reason: str
    enforced: bool
    rules: list[Rule]
    decision_id: str
    revision: str
    age_seconds: int
    region: dict[str, Any] | None
    max_age_ms: int
    valid_until: str | None
    obligations: list[dict[str, Any]]
    reuse: str
    shadow: dict[str, Any] | UnsetType = UNSET
    explanation: dict[str, Any] | UnsetType = UNSET


class _Region(msgspec.Struct, forbid_unknown_fields=True):
    """All that a region can say as far as we know."""

    service: str
    principal: str | None
    method: str | None
    path: list[str | dict[str, list[str]] | None]
    rest: bool
    context: dict[str, str | int | bool | list[str] | None]
    evidence: list[str] | UnsetType = UNSET


class _ErrorDetail(msgspec.Struct):
    code: str
    message: str


class _Error(msgspec.Struct):
    error: _ErrorDetail


def read_answer(body: bytes) -> Decision:
    """The answer in a JSON body.

    Raises:
        UnreadableAnswerError: It is no answer, or an allow that we do not understand.
    """
    return decision_of(parse_json(body))


def read_batch(body: bytes, count: int) -> list[Decision | CouldNotAnswerError]:
    """The answers to so many questions, in order; one that cannot be read spoils no other.

    Raises:
        UnreadableAnswerError: They are not so many answers.
    """
    found = parse_json(body)
    answers = found.get("answers") if isinstance(found, dict) else None
    if not isinstance(answers, list) or len(answers) != count:
        raise UnreadableAnswerError("there is not one answer for each question")
    return [_one_of_batch(item) for item in answers]


def _one_of_batch(item: object) -> Decision | CouldNotAnswerError:
    try:
        if isinstance(item, dict) and "error" in item:
            detail = _convert(item, _Error).error
            return refusal(detail.code, detail.message)
        return decision_of(item)
    except CouldNotAnswerError as error:
        return error


def read_error(body: bytes) -> tuple[str, str]:
    """The code and the message of an error body; `unknown` for what is none."""
    try:
        detail = _convert(parse_json(body), _Error).error
    except UnreadableAnswerError:
        return "unknown", "the service did not say why"
    return detail.code, detail.message


def parse_json(body: bytes) -> Any:
    """A JSON document, without a key that stands twice, and without numbers that are none.

    Raises:
        UnreadableAnswerError: It is not one.
    """
    try:
        found = json.loads(body, object_pairs_hook=_object, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswerError("what came is not JSON that is read in one way") from error
    if _depth(found) > MAX_JSON_DEPTH:
        raise UnreadableAnswerError("what came nests too deep")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _depth(value: object) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        inner: list[object] = []
        for each in level:
            if isinstance(each, dict):
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
        level = inner
    return depth


def _convert(value: object, type_: type[_T]) -> _T:
    try:
        return msgspec.convert(value, type_, strict=True)
    except msgspec.ValidationError as error:
        raise UnreadableAnswerError(f"the answer is not what it should be: {error}") from error


# -- one answer ----------------------------------------------------------------------------


def decision_of(value: object) -> Decision:
    """The answer in an object as JSON has it.

    Raises:
        UnreadableAnswerError: It is no answer, or an allow that we do not understand.
    """
    answer = _convert(value, _Answer)
    if answer.decision == "allow":
        effect, obligations = "allow", _obligations_of_allow(answer)
    elif answer.decision == "deny":
        effect, obligations = "deny", ()
    else:
        raise UnreadableAnswerError("the decision is neither `allow` nor `deny`")
    if not (answer.revision and _ULID(answer.decision_id)):
        raise UnreadableAnswerError("the answer has no name, or no revision")
    if not 0 <= answer.max_age_ms <= _MAX_MILLIS:
        raise UnreadableAnswerError("the answer has an age that is none")
    return Decision(
        effect=effect,  # type: ignore[arg-type]  # one of the two
        reason=answer.reason,
        enforced=answer.enforced,
        obligations=obligations,
        decision_id=answer.decision_id,
        revision=answer.revision,
        age_seconds=answer.age_seconds,
        rules=tuple(answer.rules),
        shadow=None if answer.shadow is UNSET else answer.shadow,
        explanation=None if answer.explanation is UNSET else answer.explanation,
        region=None if answer.region is None else _region(answer.region),
        max_age_ms=answer.max_age_ms,
        valid_until=None if answer.valid_until is None else _instant(answer.valid_until),
        counted=answer.reuse == "counted",
    )


def _obligations_of_allow(answer: _Answer) -> tuple[Obligation, ...]:
    if answer.reason not in _ALLOWED_BY:
        raise UnreadableAnswerError("an allow for a reason that is not known")
    duties = tuple(map(_obligation, answer.obligations))
    names = [duty.name.lower().replace("_", "-") for duty in duties]
    if len(set(names)) != len(names):
        raise UnreadableAnswerError("two obligations are about one header")
    return duties


def _obligation(duty: Mapping[str, Any]) -> Obligation:
    match duty:
        case {"set_header": str(name), "value": str(value)} if (
            len(duty) == 2 and _TOKEN(name) and _FIELD_VALUE(value)
        ):
            return SetHeader(name, value)
        case {"remove_header": str(name)} if len(duty) == 1 and _TOKEN(name):
            return RemoveHeader(name)
        case _:
            raise UnreadableAnswerError("an allow demands what is not known here")


def _region(said: dict[str, Any]) -> Region | None:
    """A region, or None if it says anything that is not known: then nothing else is a member."""
    try:
        region = msgspec.convert(said, _Region, strict=True)
    except msgspec.ValidationError:
        return None
    evidence = () if region.evidence is UNSET else tuple(region.evidence)
    if not _EVIDENCE.issuperset(evidence):
        return None
    steps = _steps(region.path)
    if steps is None:
        return None
    return Region(
        service=region.service,
        principal=region.principal,
        method=region.method,
        path=steps,
        rest=region.rest,
        context={name: pin(value) for name, value in region.context.items()},
        evidence=evidence,
    )


def _steps(path: Sequence[str | dict[str, list[str]] | None]) -> tuple[PathStep, ...] | None:
    if any(isinstance(step, dict) and not step.keys() <= _STEP_KEYS for step in path):
        return None
    return tuple(
        Excluding(
            tuple(step.get("not", ())), tuple(step.get("not_prefix", ())), tuple(step.get("not_suffix", ()))
        )
        if isinstance(step, dict)
        else step
        for step in path
    )


def _instant(text: str) -> float:
    """An instant of RFC 3339 as Unix time."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise UnreadableAnswerError("`valid_until` does not say in which zone it is")
        return moment.astimezone(UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise UnreadableAnswerError("`valid_until` is no instant") from error
