"""A token taken apart: JWS in compact serialisation, its header and claims read once and in one way.

Nothing here is believed yet: whether anybody signed it is asked in `pdp.identity.tokens.jwt`. What more
than one reader could read in more than one way is refused before any library sees it: duplicate
members, base64url that is not canonical, the other serialisations, and headers that say where to
find the key, or how else the signature is to be read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from pdp.identity.tokens.base64url import decode_base64url
from pdp.identity.tokens.refusal import RefusedTokenError, TokenRefusal
from pdp.limits import MAX_KEY_ID_CHARS, MAX_TOKEN_BYTES
from pdp.strictness import BadJsonError, quoted, strict_value

__all__ = ["CompactToken", "parse_compact", "read_part", "split_compact"]

#: Where a token could say itself which key it is verified with (RFC 7515, sections 4.1.2 to 4.1.6).
_KEY_SOURCES: Final = ("jwk", "jku", "x5u", "x5c")
#: What changes how the rest is read: RFC 7797 (`b64`), RFC 7516 (`enc`, `zip`), and a token within (`cty`).
_OTHER_READINGS: Final = ("b64", "enc", "zip", "cty")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CompactToken:
    """A token as it was read, believed by nobody.

    Attributes:
        text: The token.
        header: What its header says.
        payload: Its payload.
        claims: What that says.
        algorithm: The header's `alg`.
        key_id: Its `kid`; None where there is none.
        type: Its `typ`; None where there is none.
    """

    text: str = field(repr=False)
    header: Mapping[str, Any]
    payload: bytes = field(repr=False)
    claims: Mapping[str, Any]
    algorithm: str
    key_id: str | None
    type: str | None


def parse_compact(text: str) -> CompactToken:
    """Take a token apart (RFC 7515 section 7.1, RFC 7519 section 7.2).

    Raises:
        RefusedTokenError: It is not one, or could be read in more than one way.
    """
    header_part, claims_part, _ = split_compact(text)
    header = read_part(header_part, "the header")
    _check_header(header)
    payload = _decode(claims_part, "the payload")
    return CompactToken(
        text=text,
        header=header,
        payload=payload,
        claims=_object(payload, "the payload"),
        algorithm=_text(header, "alg", required=True) or "",
        key_id=_key_id(header),
        type=_text(header, "typ"),
    )


def split_compact(text: str) -> tuple[str, str, str]:
    """The three parts of a token, none of them empty, and the last one decodable.

    Raises:
        RefusedTokenError: It has others.
    """
    if len(text) > MAX_TOKEN_BYTES:
        raise RefusedTokenError(TokenRefusal.TOO_LARGE, f"the token has more than {MAX_TOKEN_BYTES} bytes")
    if text.lstrip().startswith("{"):
        message = "the token is in JSON serialisation: only the compact one is read"
        raise RefusedTokenError(TokenRefusal.JSON_SERIALIZATION, message)
    if text[:7].lower() == "bearer ":
        raise _malformed("`Bearer` stands before the token: give the token alone")
    parts = text.split(".")
    if len(parts) == 5:
        raise RefusedTokenError(
            TokenRefusal.ENCRYPTED, "the token is encrypted (JWE): only signed ones are read"
        )
    if len(parts) != 3:
        raise _malformed(f"a token has three parts with a dot between them, and this has {len(parts)}")
    header, claims, signature = parts
    if not claims and header:
        message = "the payload is empty: it is detached, or there is none"
        raise RefusedTokenError(TokenRefusal.DETACHED, message)
    if not signature and header:
        raise RefusedTokenError(TokenRefusal.UNSIGNED, "the token has no signature")
    _decode(signature, "the signature")
    return header, claims, signature


def read_part(part: str, what: str) -> dict[str, Any]:
    """The JSON object that a part of a token stands for.

    Raises:
        RefusedTokenError: It stands for none, or for one that could be read in more than one way.
    """
    return _object(_decode(part, what), what)


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = strict_value(data, what)
    except BadJsonError as error:
        raise _malformed(error.message) from None
    if not isinstance(value, dict):
        raise _malformed(f"{what} is not a JSON object")
    return value


def _decode(part: str, what: str) -> bytes:
    try:
        return decode_base64url(part)
    except ValueError as error:
        raise _malformed(f"{what} cannot be read: {error}") from None


def _check_header(header: Mapping[str, Any]) -> None:
    if "crit" in header:
        # RFC 7515 section 4.1.11: whoever does not understand all of it refuses. We understand none;
        # an empty list is not allowed either.
        message = "the header has `crit`, and no extension is understood here"
        raise RefusedTokenError(TokenRefusal.CRITICAL, message)
    for name in _KEY_SOURCES:
        if name in header:
            message = f"the header has `{name}`: which key counts is not for the token to say"
            raise RefusedTokenError(TokenRefusal.EMBEDDED_KEY, message)
    for name in _OTHER_READINGS:
        if name in header:
            raise RefusedTokenError(
                TokenRefusal.HEADER, f"the header has `{name}`, which is not supported here"
            )


def _text(header: Mapping[str, Any], name: str, *, required: bool = False) -> str | None:
    value = header.get(name)
    if isinstance(value, str) and value:
        return value
    if name in header:
        message = f"the header's `{name}` is not a text, or empty"
        raise RefusedTokenError(TokenRefusal.HEADER, message)
    if required:
        raise RefusedTokenError(TokenRefusal.HEADER, f"the header has no `{name}`")
    return None


def _key_id(header: Mapping[str, Any]) -> str | None:
    key_id = _text(header, "kid")
    if key_id is not None and len(key_id) > MAX_KEY_ID_CHARS:
        message = f"the header's `kid`, {quoted(key_id)}, has more than {MAX_KEY_ID_CHARS} characters"
        raise RefusedTokenError(TokenRefusal.HEADER, message)
    return key_id


def _malformed(message: str) -> RefusedTokenError:
    return RefusedTokenError(TokenRefusal.MALFORMED, message)
