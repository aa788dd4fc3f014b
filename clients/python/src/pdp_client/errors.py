"""What there is where there is no answer, by whose fault. None of it is ever an allow.

Codes are those of the service (`docs/api.md` of pdp), and some of our own: `unreachable`, `too_late`,
`unreadable_answer`, `closed`.
"""

from typing import ClassVar, Final, Literal

__all__ = [
    "BadQuestionError",
    "ClosedError",
    "CouldNotAnswerError",
    "Fault",
    "NotPermittedError",
    "ServiceError",
    "UnreachableError",
    "UnreadableAnswerError",
    "settings_error",
]

#: Whose fault it is that there is no answer.
Fault = Literal["asker", "caller", "network", "service"]


class CouldNotAnswerError(Exception):
    """There is no answer. Let nothing pass.

    Attributes:
        code: Stable, for programs.
        message: For people.
        endpoint: Which replica said so; empty where none did.
        fault: Whose fault it is.
    """

    fault: ClassVar[Fault] = "service"

    def __init__(self, code: str, message: str, endpoint: str = "") -> None:
        super().__init__(f"{message} ({code})" + (f", {endpoint}" if endpoint else ""))
        self.code: Final = code
        self.message: Final = message
        self.endpoint: Final = endpoint


class BadQuestionError(CouldNotAnswerError):
    """The question has no meaning: whoever wrote the call has to mend it."""

    fault = "asker"


class ClosedError(CouldNotAnswerError):
    """The client was closed, or is used where it cannot be."""

    fault = "asker"


class NotPermittedError(CouldNotAnswerError):
    """The service refuses us: our certificate, or what our entry in the policy set permits."""

    fault = "caller"


class ServiceError(CouldNotAnswerError):
    """The service has no answer now: it is overloaded, ending, stale, or has a defect."""

    fault = "service"


class UnreadableAnswerError(CouldNotAnswerError):
    """There is an answer, and we do not know all that it means. So it is none."""

    fault = "service"

    def __init__(self, message: str, endpoint: str = "") -> None:
        super().__init__("unreadable_answer", message, endpoint)


class UnreachableError(CouldNotAnswerError):
    """No replica could be reached in time."""

    fault = "network"


def settings_error(message: str) -> ValueError:
    """What is wrong with how a client is made; said at once, and not when it is first asked."""
    return ValueError(message)
