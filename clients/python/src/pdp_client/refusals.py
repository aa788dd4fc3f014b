"""What the service says where it has no answer, as our errors: whose fault it is, by its code and status."""

from typing import Final

from pdp_client.errors import (
    BadQuestionError,
    CouldNotAnswerError,
    NotPermittedError,
    ServiceError,
    UnreadableAnswerError,
)

__all__ = ["refusal", "refusal_of_status"]

#: Codes of a service that has no answer now. Asking another replica may help.
_OF_SERVICE: Final = frozenset(
    {
        "ending", "internal", "log_full", "overloaded", "rate_limited", "revision_not_seen", "stale",
        "too_many_calls", "too_many_watchers", "too_slow",
    }
)  # fmt: skip
#: Codes of a caller that may not ask this, whatever the question means.
_OF_CALLER: Final = frozenset(
    {
        "attributes_not_permitted", "caller_expired", "caller_not_listed", "caller_quarantined",
        "caller_untrusted", "claims_not_permitted", "evidence_not_permitted", "explain_not_permitted",
        "principal_not_permitted", "service_not_permitted",
    }
)  # fmt: skip


def refusal(code: str, message: str, endpoint: str = "") -> CouldNotAnswerError:
    """The error for a code, where there is nothing else to tell whose fault it is."""
    if code in _OF_SERVICE:
        return ServiceError(code, message, endpoint)
    if code in _OF_CALLER:
        return NotPermittedError(code, message, endpoint)
    return BadQuestionError(code, message, endpoint)


def refusal_of_status(status: int, code: str, message: str, endpoint: str) -> CouldNotAnswerError:
    """The error for a status of HTTP that is not 200."""
    if status == 403:
        return NotPermittedError(code, message, endpoint)
    if status >= 500 or status == 408:
        return ServiceError(code, message, endpoint)
    if status >= 400:
        return BadQuestionError(code, message, endpoint)
    return UnreadableAnswerError(f"the service answered with status {status}", endpoint)
