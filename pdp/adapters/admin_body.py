"""What those who administer send, read strictly; and how they are refused.

Every function raises `RefusedError`. What becomes of what was read is the business of `pdp.adapters.admin`.
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request

from pdp.limits import MAX_ADMIN_BODY_BYTES
from pdp.strictness import BadJsonError, quoted, strict_value

__all__ = ["FORBIDDEN", "FULL", "RefusedError", "body_of", "require_members", "why_of"]

FORBIDDEN: Final = 403


class RefusedError(Exception):
    """An answer that is no.

    Attributes:
        status: Its status.
        code: Its code, as `docs/quarantine.md` lists them.
        message: What is told to whoever asked.
        told: What is told to whoever runs the service: of whom, and why; empty for nothing.
    """

    def __init__(self, status: int, code: str, message: str, told: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.told = status, code, message, told


#: What a connection is told for which there is no place.
FULL: Final = RefusedError(
    503, "too_many_connections", "all connections that one caller may have are being answered"
)


def why_of(said: Mapping[str, Any]) -> str:
    """What somebody says of why."""
    why = said.get("why")
    if not isinstance(why, str) or not why.strip() or not why.isprintable():
        raise RefusedError(400, "invalid_entry", "`why` is a text of one line: what happened")
    return why


def require_members(said: Mapping[str, Any], known: frozenset[str]) -> None:
    """See that nothing else is said."""
    for name in said:
        if name not in known:
            raise RefusedError(400, "invalid_entry", f"there is no member {quoted(name)}")


async def body_of(request: Request) -> Mapping[str, Any]:
    """What the body of a request says: an object."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(415, "unsupported_media_type", "the body is `application/json`")
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_ADMIN_BODY_BYTES:
            raise RefusedError(413, "body_too_large", f"the body has at most {MAX_ADMIN_BODY_BYTES} bytes")
        chunks.append(chunk)
    try:
        value = strict_value(b"".join(chunks), "the body")
    except BadJsonError as error:
        raise RefusedError(400, error.code, error.message) from error
    if not isinstance(value, dict):
        raise RefusedError(400, "invalid_entry", "the body is an object")
    return value
