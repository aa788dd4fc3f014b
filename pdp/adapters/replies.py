"""What is answered over HTTP, before it is known how it leaves: a status, headers and a body.

Every error has its one status here. A deny is 200: it is an answer. Everything that is no answer is a 4xx or
5xx with a code and a sentence, and nothing of our insides.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from pdp.adapters.schemas import BadQuestionError, error_body
from pdp.adapters.strict_json import BadJsonError
from pdp.identity.caller import Caller
from pdp.identity.refusal import UntrustedCertificateError
from pdp.service.errors import CannotAnswerError, EvidenceRefusedError, NotPermittedError, OverloadedError

__all__ = [
    "CALLER",
    "JSON_HEADERS",
    "Head",
    "Reply",
    "StatusError",
    "as_response",
    "caller_of",
    "failed",
    "json_reply",
    "require_caller",
]

#: Where a request's state holds what tells its caller, or the reason why it has none.
CALLER: Final = "pdp.caller"
#: Of most replies.
JSON_HEADERS: Final = (("content-type", "application/json"),)
_log: Final = logging.getLogger("pdp.http")


class Head(NamedTuple):
    """What stands before a request's body.

    Attributes:
        method: Its method.
        target: Its target (RFC 9112, section 3.2), exactly as it arrived.
        headers: Its header lines, names in lower case.
    """

    method: str
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]


class Reply(NamedTuple):
    """One answer.

    Attributes:
        status: Its status.
        headers: All but its length, the date and what is said of the connection; names in lower case.
        body: Its body.
        close: Whether the connection ends with it.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    close: bool = False


class StatusError(Exception):
    """An answer that is none, decided before the question was read."""

    def __init__(self, status: int, code: str, message: str, *, close: bool = False) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.close = status, code, message, close


def json_reply(body: bytes, *, status: int = 200, close: bool = False) -> Reply:
    """A reply whose body is JSON."""
    headers = (*JSON_HEADERS, ("retry-after", "1")) if status == 503 else JSON_HEADERS
    return Reply(status, headers, body, close)


def failed(error: BaseException) -> Reply:
    """What an error comes to. An unexpected one is ours: 500, and never a decision."""
    match error:
        case StatusError():
            return _error(error.status, error.code, error.message, close=error.close)
        case BadJsonError() | BadQuestionError() | EvidenceRefusedError():
            return _error(400, error.code, error.message)
        case NotPermittedError():
            return _error(403, error.code, error.message)
        case CannotAnswerError() | OverloadedError():
            return _error(503, error.code, error.message)
        case asyncio.CancelledError():
            return _error(503, "ending", "the decision point ends, and waits no longer for this request")
        case _:
            _log.error("a request failed by a defect of pdp", exc_info=error)
            return _error(500, "internal", "the decision point failed; this is not a decision")


def _error(status: int, code: str, message: str, *, close: bool = False) -> Reply:
    return json_reply(msgspec.json.encode(error_body(code, message)), status=status, close=close)


def as_response(reply: Reply) -> Response:
    """A reply as an ASGI application sends it."""
    headers = dict(reply.headers)
    if reply.close:
        headers["connection"] = "close"
    return Response(reply.body, status_code=reply.status, headers=headers)


def caller_of(scope: Scope) -> Caller:
    """The caller of a request, as its connection establishes it under the trust of the moment.

    Raises:
        StatusError: There is none.
    """
    return require_caller(scope.get("state", {}).get(CALLER))


def require_caller(ask: object) -> Caller:
    """The caller that a connection tells.

    Args:
        ask: What tells it, now and whenever it is called; or the caller itself.

    Raises:
        StatusError: There is none.
    """
    caller = ask() if callable(ask) else ask
    if isinstance(caller, Caller):
        return caller
    if isinstance(caller, UntrustedCertificateError):
        message = f"the client certificate is not accepted: {caller.message}"
        raise StatusError(403, "caller_untrusted", message)
    if isinstance(caller, NotPermittedError):  # of a plaintext listener: pdp.adapters.local
        raise StatusError(403, caller.code, caller.message)
    raise StatusError(403, "caller_untrusted", "the connection has no authenticated caller")
