"""From the bytes of a request's body to those of its answer, in JSON.

What happens in between is the same for every protocol: `pdp.adapters.answering`.
"""

from typing import final

import msgspec

from pdp.adapters.answering import ask_batch, decided, told
from pdp.adapters.remembered import RememberedAnswers
from pdp.adapters.schemas import Answer, ErrorBody, Question
from pdp.adapters.strict_json import decode
from pdp.identity.caller import Caller
from pdp.limits import MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES
from pdp.service.decision_service import DecisionService

__all__ = ["JsonAnswers", "answer_batch"]

_encode = msgspec.json.Encoder().encode


class Batch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several questions; each is checked and answered alone."""

    questions: list[msgspec.Raw]


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answers, in the order of the questions; an error stands where there is none."""

    answers: list[Answer | ErrorBody]


@final
class JsonAnswers:
    """Answers single questions, those that were asked before from what is remembered of them."""

    def __init__(self, service: DecisionService, remembered: int) -> None:
        """Remember so many answers at most; 0 for none."""
        self._service = service
        self._remembered = RememberedAnswers(service, remembered) if remembered else None

    def again(self, caller: Caller, body: bytes) -> bytes | None:
        """Answer a question that is remembered; None if it is not, or if there is more to it now.

        Raises:
            OverloadedError: There is too much to do, or this caller asks too often.
        """
        return None if self._remembered is None else self._remembered.answer(caller, body)

    async def answer(self, caller: Caller, body: bytes) -> bytes:
        """Answer the question in a JSON body.

        Raises:
            BadJsonError: The body is not JSON that is read in one way, or not a question.
            BadQuestionError: Something in the question has no meaning.
            EvidenceRefusedError: Evidence in it proves nothing.
            NotPermittedError: The caller may not ask it.
            CannotAnswerError: The revision that it asks for was not seen in time.
            OverloadedError: There is too much to do, or this caller asks too often.
        """
        about = await decided(self._service, caller, lambda: decode(body, Question, max_bytes=MAX_BODY_BYTES))
        found = told(about)
        if self._remembered is not None:
            self._remembered.remember(caller, body, about, found)
        return _encode(found)


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
