"""Requests that no application sees: which these are, and what is answered to them, in bytes.

When each of it happens is the business of `pdp.adapters.bounded`.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final, TypeAlias

import msgspec

from pdp.adapters.schemas import error_body
from pdp.limits import MAX_HEAD_BYTES, MAX_HEADER_LINES

__all__ = [
    "ENDING",
    "HEAD_TOO_LARGE",
    "INTERNAL",
    "NOT_HTTP",
    "TOO_LARGE",
    "TOO_SLOW",
    "Refused",
    "is_plain",
    "refusal",
]

Refused: TypeAlias = tuple[HTTPStatus, str, str]

_VERSIONS: Final = frozenset({"1.0", "1.1"})  # the parser would take HTTP/0.9 as well
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?").fullmatch
NOT_HTTP: Final = (HTTPStatus.BAD_REQUEST, "invalid_http", "this is not an HTTP/1.1 request")
INTERNAL: Final = (
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal",
    "the decision point failed; this is not a decision",
)
HEAD_TOO_LARGE: Final = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    f"a request has at most {MAX_HEADER_LINES} header lines and {MAX_HEAD_BYTES} bytes before its body",
)
TOO_LARGE: Final = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", "the request is too large")
TOO_SLOW: Final = (HTTPStatus.REQUEST_TIMEOUT, "too_slow", "the request did not arrive in time")
ENDING: Final = (
    HTTPStatus.SERVICE_UNAVAILABLE,
    "ending",
    "the decision point ends, and waits no longer for this request",
)


def is_plain(version: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a head says whom it is for and how its body is framed in the one way there is.

    RFC 9112, section 3.2: exactly one `Host`, which HTTP/1.0 may leave out, and a host in it. Section
    6.1: HTTP/1.0 has no transfer codings; and of those that there are we know `chunked` alone, so
    that the body which another reader decodes is never the one that we read.
    """
    if version not in _VERSIONS:
        return False
    hosts = codings = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if hosts > 1 or _HOST(value) is None:
                return False
        elif name == b"transfer-encoding":
            codings += 1
            if codings > 1 or version != "1.1" or value.strip().lower() != b"chunked":
                return False
    return hosts == 1 or version == "1.0"


def refusal(refused: Refused, *, by_proxy: bool) -> bytes:
    """What is answered, and ends the connection."""
    status, code, message = refused
    if by_proxy:  # they let other statuses pass, or are told to
        status = HTTPStatus.FORBIDDEN
    body = msgspec.json.encode(error_body(code, message))
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
