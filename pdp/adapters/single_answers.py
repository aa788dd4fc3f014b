"""From the bytes of one question to those of its answer, in any protocol.

What happens in between is the same for all: `pdp.adapters.answering`. A protocol says how it reads a
question, and how it writes answers.
"""

from collections.abc import Callable
from typing import final

from pdp.adapters.answering import decided, told
from pdp.adapters.remembered import Form, RememberedAnswers
from pdp.adapters.schemas import Question
from pdp.identity.caller import Caller
from pdp.service.decision_service import DecisionService

__all__ = ["SingleAnswers"]


@final
class SingleAnswers:
    """Answers single questions, those that were asked before from what is remembered of them.

    Attributes:
        again: Answers a question that is remembered; None if it is not, or if there is more to it now. See
            `RememberedAnswers.answer`.
    """

    def __init__(
        self, service: DecisionService, remembered: int, read: Callable[[bytes], Question], form: Form
    ) -> None:
        """Answer in one protocol.

        Args:
            service: Who decides.
            remembered: How many answers are remembered at most; 0 for none.
            read: Reads a question; raises where it is none.
            form: How answers are written.
        """
        self._service, self._read, self._form = service, read, form
        self._remembered = RememberedAnswers(service, remembered, form) if remembered else None
        self.again: Callable[[Caller, bytes], bytes | None] = (
            _forgotten if self._remembered is None else self._remembered.answer
        )

    async def answer(self, caller: Caller, body: bytes) -> bytes:
        """Answer a question.

        Raises:
            BadJsonError: The body is not JSON that is read in one way, or not a question.
            BadQuestionError: Something in the question has no meaning.
            EvidenceRefusedError: Evidence in it proves nothing.
            NotPermittedError: The caller may not ask it.
            CannotAnswerError: The revision that it asks for was not seen in time.
            OverloadedError: There is too much to do, or this caller asks too often.
        """
        about = await decided(self._service, caller, lambda *_: self._read(body))
        found = told(about)
        if self._remembered is not None:
            self._remembered.remember(caller, body, about, found)
        return self._form.whole(found)


def _forgotten(_: Caller, __: bytes) -> bytes | None:
    """Nothing is remembered."""
    return None
