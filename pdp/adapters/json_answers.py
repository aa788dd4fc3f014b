"""From the bytes of a request's body to those of its answer, in JSON.

What happens in between is the same for every protocol: `pdp.adapters.answering`.
"""

import msgspec

from pdp.adapters.answering import ask, ask_batch
from pdp.adapters.schemas import Answer, ErrorBody, Question
from pdp.adapters.strict_json import decode
from pdp.identity.caller import Caller
from pdp.limits import MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES
from pdp.service.decision_service import DecisionService

__all__ = ["answer", "answer_batch"]

_encode = msgspec.json.Encoder().encode


class Batch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several questions; each is checked and answered alone."""

    questions: list[msgspec.Raw]


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answers, in the order of the questions; an error stands where there is none."""

    answers: list[Answer | ErrorBody]


async def answer(service: DecisionService, caller: Caller, body: bytes) -> bytes:
    """Answer the question in a JSON body.

    Raises:
        BadJsonError: The body is not JSON that is read in one way, or not a question.
        BadQuestionError: Something in the question has no meaning.
        EvidenceRefusedError: Evidence in it proves nothing.
        NotPermittedError: The caller may not ask it.
        CannotAnswerError: The revision that it asks for was not seen in time.
    """
    return _encode(await ask(service, caller, lambda: decode(body, Question, max_bytes=MAX_BODY_BYTES)))


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
