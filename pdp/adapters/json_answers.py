"""Questions and answers in JSON: how they are read and written, one at a time or in batches.

What happens in between is the same for every protocol: `pdp.adapters.answering`.
"""

from typing import Final, final

import msgspec
from msgspec import UNSET

from pdp.adapters.answering import ask_batch
from pdp.adapters.remembered import New
from pdp.adapters.schemas import Answer, ErrorBody, Question
from pdp.adapters.single_answers import SingleAnswers
from pdp.adapters.strict_json import decode
from pdp.identity.caller import Caller
from pdp.limits import MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES
from pdp.service.decision_service import DecisionService

__all__ = ["answer_batch", "json_answers"]

_encode = msgspec.json.Encoder().encode


class Batch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several questions; each is checked and answered alone."""

    questions: list[msgspec.Raw]


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answers, in the order of the questions; an error stands where there is none."""

    answers: list[Answer | ErrorBody]


@final
class JsonForm:
    """How answers are written in JSON."""

    def whole(self, answer: Answer) -> bytes:
        """An answer."""
        return _encode(answer)

    def template(self, answer: Answer) -> bytes:
        """The same with what is new in each left open, in the order of its members."""
        members = [(name, getattr(answer, name)) for name in answer.__struct_fields__]
        texts = [
            b'"%b":%b' % (name.encode("ascii"), _NEW.get(name) or _encode(value).replace(b"%", b"%%"))
            for name, value in members
            if value is not UNSET
        ]
        return b"{%b}" % b",".join(texts)

    def completed(self, template: bytes, new: New) -> bytes:
        """The answer that a template becomes."""
        id_, age, max_age, reuse = new
        return template % (id_.encode("ascii"), age, max_age, reuse.encode("ascii"))


#: What stands in a template for each member that is new in each answer.
_NEW: Final = {"decision_id": b'"%b"', "age_seconds": b"%d", "max_age_ms": b"%d", "reuse": b'"%b"'}


def json_answers(service: DecisionService, remembered: int) -> SingleAnswers:
    """What answers single questions in JSON; it remembers so many answers at most."""
    return SingleAnswers(service, remembered, _read, JsonForm())


def _read(body: bytes) -> Question:
    return decode(body, Question, max_bytes=MAX_BODY_BYTES)


async def answer_batch(service: DecisionService, caller: Caller, body: bytes) -> bytes:
    """Answer every question of a JSON batch.

    Raises:
        BadJsonError: The body is not JSON that is read in one way, or not a batch.
        BadQuestionError: There are too many questions.
        NotPermittedError: The caller may ask nothing.
    """
    answers = await ask_batch(
        service,
        caller,
        lambda: decode(body, Batch, max_bytes=MAX_BATCH_BODY_BYTES).questions,
        lambda raw: decode(bytes(raw), Question, max_bytes=MAX_BODY_BYTES, subject="the question"),
    )
    return _encode(BatchAnswer(answers=answers))
