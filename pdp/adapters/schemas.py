"""Everything that stands in a body, in or out: one shape for HTTP, batch files and `pdp decide`.

The question and the answer are in modules of their own; here they meet the bodies around them.
"""

import msgspec

from pdp.adapters.answer import to_answer
from pdp.adapters.answer_body import (
    Answer,
    ConsideredRule,
    DifferenceBody,
    ExplanationBody,
    NearestRule,
    RegionBody,
    RuleRef,
    ShadowBody,
)
from pdp.adapters.bad_question import BadQuestionError
from pdp.adapters.identities import Evidence, UserClaims, presented
from pdp.adapters.question import AskedByProxy, Question, to_request

__all__ = [
    "Answer",
    "AskedByProxy",
    "BadQuestionError",
    "ConsideredRule",
    "DifferenceBody",
    "ErrorBody",
    "ErrorDetail",
    "Evidence",
    "ExplanationBody",
    "NearestRule",
    "Question",
    "RegionBody",
    "RuleRef",
    "ShadowBody",
    "UserClaims",
    "error_body",
    "presented",
    "to_answer",
    "to_request",
]


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer: a stable code, and a sentence for people."""

    code: str
    message: str


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent where there is no answer. Never a decision."""

    error: ErrorDetail


def error_body(code: str, message: str) -> ErrorBody:
    """An error as it is sent."""
    return ErrorBody(error=ErrorDetail(code=code, message=message))
