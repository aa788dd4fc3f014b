"""Messages as they arrive, read in exactly one way or refused, and their way to a `Question`.

Parsers of protocol buffers take the last of two values, merge messages and keep what they do not
know. Two readers of which one knows more, or reads less, come apart there. So whatever is read is
written again: a message that has another length then, or other bytes, holds something that we did not read.

What the values mean is checked by `pdp.adapters.question`, the same for every protocol.
"""

from typing import Any, Final, NoReturn, TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from msgspec import UNSET

from pdp.adapters.bad_question import BadQuestionError
from pdp.adapters.grpc.v1.decision_pb2 import (
    Attribute,
    Principal,
    ReuseReport,
    User,
    WatchRevisionsRequest,
)
from pdp.adapters.grpc.v1.decision_pb2 import Forwarded as ForwardedMessage
from pdp.adapters.grpc.v1.decision_pb2 import Question as QuestionMessage
from pdp.adapters.grpc.v1.raw_batch_pb2 import RawBatch
from pdp.adapters.identities import Forwarded
from pdp.adapters.reuse import Reused
from pdp.adapters.schemas import Evidence, Question, UserClaims
from pdp.limits import MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES, MAX_REUSE_BODY_BYTES
from pdp.strictness import quoted

__all__ = ["read_batch", "read_question", "read_reuse", "read_watch"]

_M = TypeVar("_M", bound=Message)
_NUL: Final = "\0"


def read_question(data: bytes) -> Question:
    """The question in a message `pdp.v1.Question`.

    Raises:
        BadQuestionError: It is too long, not such a message, or can be read in several ways.
    """
    message = _read(QuestionMessage, data, MAX_BODY_BYTES)
    for name in ("principal", "method", "path"):
        if not message.HasField(name):
            _missing(name)
    return Question(
        principal=_evidence(message.principal),
        method=_text("method", message.method),
        path=_text("path", message.path),
        service=_text("service", message.service) if message.HasField("service") else None,
        host=_text("host", message.host) if message.HasField("host") else None,
        user=_user(message.user) if message.HasField("user") else None,
        context=_context(message.context) if message.context else {},
        at_least=_text("at_least", message.at_least) if message.HasField("at_least") else None,
        explain=message.explain,
    )


def read_batch(data: bytes) -> list[bytes]:
    """The questions in a message `pdp.v1.DecideBatchRequest`, each still to be read.

    Raises:
        BadQuestionError: It is too long, or not such a message.
    """
    return list(_read(RawBatch, data, MAX_BATCH_BODY_BYTES).questions)


def read_watch(data: bytes) -> None:
    """Raise BadQuestionError for anything but a message `pdp.v1.WatchRevisionsRequest`."""
    _read(WatchRevisionsRequest, data, MAX_BODY_BYTES)


def read_reuse(data: bytes) -> list[Reused]:
    """The items of a message `pdp.v1.ReuseReport`.

    Raises:
        BadQuestionError: It is too long, not such a message, or can be read in several ways.
    """
    report = _read(ReuseReport, data, MAX_REUSE_BODY_BYTES)
    return [
        Reused(decision_id=_text("decision_id", item.decision_id), times=item.times) for item in report.reused
    ]


def _read(type_: type[_M], data: bytes, most: int) -> _M:
    if len(data) > most:
        raise BadQuestionError("body_too_large", f"the message has more than {most} bytes")
    message = type_()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        _refuse_malformed(message, error)
    message.DiscardUnknownFields()
    written = message.SerializeToString()
    # Fields may stand in any order. A truth value that is neither 0 nor 1 has the length of one that
    # is, and is written smaller: then the bytes have another sum.
    if len(written) != len(data) or (written != data and sum(written) != sum(data)):
        _refuse_ambiguous(type_, data)
    return message


def _refuse_malformed(message: Message, error: DecodeError) -> NoReturn:
    if "UTF-8" in str(error):
        raise BadQuestionError("not_utf8", "a string is not UTF-8") from None
    raise BadQuestionError("invalid_protobuf", f"the message is not a `{_public(message)}`") from None


def _public(message: Message) -> str:
    """The name by which clients know a message."""
    return "pdp.v1.DecideBatchRequest" if isinstance(message, RawBatch) else message.DESCRIPTOR.full_name


def _refuse_ambiguous(type_: type[Message], data: bytes) -> NoReturn:
    message = type_()
    message.ParseFromString(data)
    if (unknown := _unknown(message, "")) is not None:
        raise BadQuestionError("unknown_field", unknown)
    what = (
        "a field stands twice, something is longer than it needs to be, or a truth value is neither 0 nor 1"
    )
    raise BadQuestionError("ambiguous_encoding", f"this can be read in several ways: {what}")


def _unknown(message: Message, where: str) -> str | None:
    """What is not known in a message, or in one inside it."""
    fields = UnknownFieldSet(message)
    if len(fields) > 0:
        place = f" of `{where}`" if where else ""
        return (
            f"the field number {fields[0].field_number}{place} is not known, or has a value of another type"
        )
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        inside = f"{where}.{descriptor.name}" if where else descriptor.name
        for item in value if descriptor.is_repeated else (value,):
            if (unknown := _unknown(item, inside)) is not None:
                return unknown
    return None


# -- values ----------------------------------------------------------------------------


def _text(field: str, text: str) -> str:
    if _NUL in text:
        raise BadQuestionError("nul_character", f"`{field}` holds a NUL character")
    return text


def _missing(name: str) -> NoReturn:
    raise BadQuestionError("missing_field", f"the field `{name}` is missing")


def _evidence(message: Principal) -> Evidence:
    kind = message.WhichOneof("kind")
    return Evidence(
        spiffe=_text("principal.spiffe", message.spiffe) if kind == "spiffe" else UNSET,
        dns=_text("principal.dns", message.dns) if kind == "dns" else UNSET,
        anonymous=message.anonymous if kind == "anonymous" else UNSET,
        jwt=_text("principal.jwt", message.jwt) if kind == "jwt" else UNSET,
        certificate=_text("principal.certificate", message.certificate) if kind == "certificate" else UNSET,
        forwarded=_forwarded(message.forwarded) if kind == "forwarded" else UNSET,
    )


def _forwarded(message: ForwardedMessage) -> Forwarded:
    if not message.HasField("form"):
        raise BadQuestionError("missing_field", "the field `form` of `principal.forwarded` is missing")
    lines: dict[str, list[str]] = {}
    for header in message.headers:
        name = _text("principal.forwarded.headers", header.name)
        lines.setdefault(name, []).append(_text("principal.forwarded.headers", header.value))
    headers: dict[str, str | tuple[str, ...]] = {name: tuple(values) for name, values in lines.items()}
    return Forwarded(form=_text("principal.forwarded.form", message.form), headers=headers)


def _user(message: User) -> UserClaims:
    return UserClaims(
        issuer=_text("user.issuer", message.issuer) if message.HasField("issuer") else UNSET,
        subject=_text("user.subject", message.subject) if message.HasField("subject") else UNSET,
        groups=tuple(_text("user.groups", group) for group in message.groups),
        jwt=_text("user.jwt", message.jwt) if message.HasField("jwt") else UNSET,
    )


def _context(attributes: Any) -> dict[str, Any]:
    context: dict[str, Any] = {}
    for attribute in attributes:
        name = _text("context", attribute.name)
        if name in context:
            raise BadQuestionError("duplicate_key", f"the key {quoted(name)} stands twice in `context`")
        context[name] = _value(name, attribute)
    return context


def _value(name: str, attribute: Attribute) -> str | int | bool | list[str] | None:
    match attribute.WhichOneof("value"):
        case "text":
            return _text("context", attribute.text)
        case "integer":
            return attribute.integer
        case "boolean":
            return attribute.boolean
        case "texts":
            return [_text("context", item) for item in attribute.texts.items]
        case "absent":
            return None
        case _:
            message = f"the attribute {quoted(name)} has no value; `absent` says that there is none"
            raise BadQuestionError("attribute_type", message)
