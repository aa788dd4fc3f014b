"""How single questions are read and their answers written, as messages.

The bytes of a message are fields one after another, in any order. So what is remembered of an answer is the
bytes of all that stays, and those of what is new stand behind them.
"""

from typing import final

from pdp.adapters.answer_body import Answer
from pdp.adapters.grpc.answers import REUSE, answer_message
from pdp.adapters.grpc.questions import read_question
from pdp.adapters.grpc.v1.decision_pb2 import Answer as AnswerMessage
from pdp.adapters.remembered import NEW, New
from pdp.adapters.single_answers import SingleAnswers
from pdp.service.decision_service import DecisionService

__all__ = ["message_answers"]


@final
class MessageForm:
    """How answers are written as messages `pdp.v1.Answer`."""

    def whole(self, answer: Answer) -> bytes:
        """An answer."""
        return answer_message(answer).SerializeToString()

    def template(self, answer: Answer) -> bytes:
        """The same without the fields that are new in each."""
        message = answer_message(answer)
        for name in NEW:
            message.ClearField(name)
        return message.SerializeToString()

    def completed(self, template: bytes, new: New) -> bytes:
        """The answer that a template becomes."""
        id_, age, max_age, reuse = new
        fields = AnswerMessage(decision_id=id_, age_seconds=age, max_age_ms=max_age, reuse=REUSE[reuse])
        return template + fields.SerializeToString()


def message_answers(service: DecisionService, remembered: int) -> SingleAnswers:
    """What answers single questions in messages; it remembers so many answers at most."""
    return SingleAnswers(service, remembered, read_question, MessageForm())
