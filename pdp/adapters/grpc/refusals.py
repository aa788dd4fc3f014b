"""Errors as statuses of gRPC, with the stable code of every protocol beside them.

`UNAUTHENTICATED` is a peer that is no caller, `PERMISSION_DENIED` a caller that may not ask this.
None of them is ever a decision.
"""

import logging
from typing import Final, NoReturn

import grpc
from grpc.aio import ServicerContext

from pdp.adapters.bad_question import BadQuestionError
from pdp.identity.refusal import UntrustedCertificateError
from pdp.service.errors import (
    CannotAnswerError,
    EvidenceRefusedError,
    NotPermittedError,
    OverloadedError,
    ServiceError,
)

__all__ = ["CODE", "refuse", "status_of"]

#: The trailing metadata that holds an error's code.
CODE: Final = "pdp-code"
_log: Final = logging.getLogger("pdp.grpc")
_INTERNAL: Final = "the decision point failed; this is not a decision"
_BY_CODE: Final = {
    "body_too_large": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "too_many_watchers": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "caller_expired": grpc.StatusCode.UNAUTHENTICATED,
}


async def refuse(context: ServicerContext[bytes, bytes], error: Exception) -> NoReturn:
    """End a call with an error. An unexpected one is ours, and tells nothing."""
    match error:
        case BadQuestionError() | ServiceError():
            code, message = error.code, error.message
        case UntrustedCertificateError():
            code, message = "caller_untrusted", f"the client certificate is not accepted: {error.message}"
        case _:
            _log.error("a call failed by a defect of pdp", exc_info=error)
            code, message = "internal", _INTERNAL
    await context.abort(status_of(error), message, ((CODE, code),))


def status_of(error: Exception) -> grpc.StatusCode:
    """The status that an error has."""
    match error:
        case BadQuestionError() | EvidenceRefusedError():
            return _BY_CODE.get(error.code, grpc.StatusCode.INVALID_ARGUMENT)
        case NotPermittedError():
            return _BY_CODE.get(error.code, grpc.StatusCode.PERMISSION_DENIED)
        case CannotAnswerError():
            return _BY_CODE.get(error.code, grpc.StatusCode.UNAVAILABLE)
        case OverloadedError():
            return grpc.StatusCode.RESOURCE_EXHAUSTED
        case UntrustedCertificateError():
            return grpc.StatusCode.UNAUTHENTICATED
        case _:
            return grpc.StatusCode.INTERNAL
