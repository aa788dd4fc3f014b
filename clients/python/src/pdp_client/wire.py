"""Questions as they are sent: in JSON, and in the plain values that protocol buffers are made of too."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pdp_client.errors import BadQuestionError
from pdp_client.question import (
    Anonymous,
    Certificate,
    Dns,
    Forwarded,
    Jwt,
    Principal,
    Question,
    User,
    UserToken,
)

__all__ = ["batch_body", "question_body", "reuse_body"]

_encode: Final = msgspec.json.Encoder().encode


def question_body(question: Question, *, explain: bool = False) -> bytes:
    """The body of a question.

    Raises:
        BadQuestionError: It holds a value that no question has.
    """
    return _written(_fields(question, explain=explain))


def batch_body(questions: Sequence[Question]) -> bytes:
    """The body of several questions.

    Raises:
        BadQuestionError: One holds a value that no question has.
    """
    return _written({"questions": [_fields(question, explain=False) for question in questions]})


def reuse_body(times: dict[str, int]) -> bytes:
    """The body of a report of reuse: answers by name, each with how often it was used again."""
    return _encode({"reused": [{"decision_id": name, "times": count} for name, count in times.items()]})


def _written(body: dict[str, Any]) -> bytes:
    try:
        return _encode(body)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadQuestionError("wrong_type", f"the question cannot be written: {error}") from error


def _fields(question: Question, *, explain: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "principal": _principal(question.principal),
        "method": question.method,
        "path": question.path,
    }
    for name in ("service", "host", "at_least"):
        value = getattr(question, name)
        if value is not None:
            fields[name] = value
    if question.user is not None:
        fields["user"] = _user(question.user)
    if question.context:
        fields["context"] = dict(question.context)
    if explain:
        fields["explain"] = True
    return fields


def _principal(principal: Principal) -> dict[str, Any]:
    match principal:
        case str():
            return {"spiffe": principal}
        case Dns(name=name):
            return {"dns": name}
        case Anonymous():
            return {"anonymous": True}
        case Jwt(token=token):
            return {"jwt": token}
        case Certificate(pem=pem):
            return {"certificate": pem}
        case Forwarded(form=form, headers=headers):
            lines: dict[str, list[str]] = {}
            for name, value in headers:
                lines.setdefault(name, []).append(value)
            return {"forwarded": {"form": form, "headers": lines}}
        case _:
            raise BadQuestionError("invalid_principal", "the principal is of no kind that there is")


def _user(user: User | UserToken) -> dict[str, Any]:
    if isinstance(user, UserToken):
        return {"jwt": user.token}
    said: dict[str, Any] = {"issuer": user.issuer, "subject": user.subject}
    return {**said, "groups": list(user.groups)} if user.groups else said
