"""What can go wrong between a question and its answer, split by whose fault it is.

Each error has a public half (`code`, `message`) for whoever asked. None of them is ever a
decision: an enforcement point treats all but an explicit allow as a deny.
"""

from typing import final

__all__ = [
    "CannotAnswerError",
    "EvidenceRefusedError",
    "NotPermittedError",
    "OverloadedError",
    "ServiceError",
]


class ServiceError(Exception):
    """Base of this family.

    Attributes:
        code: Stable snake_case name, documented in `docs/api.md`.
        message: One sentence for whoever asked; holds nothing that they may not know.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@final
class NotPermittedError(ServiceError):
    """The caller may not ask this."""


@final
class EvidenceRefusedError(ServiceError):
    """Evidence in the question proves nothing; whoever sent it has to send another.

    Attributes:
        by_keys: Whether only newer keys of an issuer are missing, perhaps.
    """

    def __init__(self, message: str, *, by_keys: bool = False) -> None:
        super().__init__("evidence_refused", message)
        self.by_keys = by_keys


@final
class OverloadedError(ServiceError):
    """There is too much to do; the question may be asked again a little later."""


@final
class CannotAnswerError(ServiceError):
    """The question was fine, and there is no answer now."""
