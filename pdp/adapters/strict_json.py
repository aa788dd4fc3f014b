"""JSON as it arrives from outside: read in exactly one way, or refused.

What may be read in more than one way is refused by `pdp.strictness`. Types and
fields are `msgspec`'s; its messages are made plain.

Most documents need no second look: `_plainly_strict` sees with a few scans at the speed of C
that nothing of the kind can be in them. All others are read by the standard library first.
INVARIANT: what is plainly strict and decoded by `msgspec` would pass `require_strict` too;
`tests/adapters/test_strict_json.py` holds the two against each other.
"""

import re
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeVar, cast

import msgspec

from pdp.diagnostics import escape
from pdp.limits import MAX_JSON_DEPTH
from pdp.strictness import BadJsonError, quoted, require_strict

__all__ = ["BadJsonError", "decode"]

_T = TypeVar("_T")

_PLAIN: Final = bytes(set(range(0x20, 0x7F)) - {ord("\\")})
_ZEROED: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 19  # the shortest that can pass 64 bits

# -- messages of msgspec ---------------------------------------------------------------
_FIELD: Final = re.compile(
    r"Object (missing required|contains unknown) field `(.*?)`(?: - at `\$(.*)`)?", re.DOTALL
)
_TYPE_NAMES: Final = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}


def decode(body: bytes, type_: type[_T], *, max_bytes: int, subject: str = "the body") -> _T:
    """Read one JSON document as a value of a type that `msgspec` knows.

    Args:
        body: The document, UTF-8 (RFC 8259 section 8.1).
        type_: What it must be.
        max_bytes: Its greatest length.
        subject: What a message calls it.

    Raises:
        BadJsonError: It is too long, not strict JSON, or not of that type.
    """
    if len(body) > max_bytes:
        raise BadJsonError("body_too_large", f"{subject} has more than {max_bytes} bytes")
    plain = _plainly_strict(body)
    if not plain:
        require_strict(body, subject)
    try:
        return cast("_T", _decoder(cast("Hashable", type_)).decode(body))
    except msgspec.DecodeError as error:  # a ValidationError is one of them
        if plain:
            require_strict(body, subject)  # says it better, and the same as for a document that is not plain
        _refuse(error, subject)


@lru_cache(maxsize=64)
def _decoder(type_: Hashable) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(type_)


def _plainly_strict(body: bytes) -> bool:
    """Whether nothing that `msgspec` accepts and we refuse can be in a document.

    Printable ASCII without a backslash: no escape, no control character, no invalid UTF-8, and
    every `"` begins or ends a string. No number of 19 digits. No deeper than there are brackets.
    No space before a colon, so that every key is followed by `":`, and no key twice at whatever
    depth: cut at each `":`, the key is what follows the last `"` before the cut. (Strings that
    begin with `:` are cut too. That shortens keys, the same key always in the same way.)
    """
    if body.translate(None, _PLAIN) or b" :" in body or _LONG_NUMBER in body.translate(_ZEROED):
        return False
    if body.count(b"[") + body.count(b"{") > MAX_JSON_DEPTH:
        return False
    *cuts, _ = body.split(b'":')
    return len({cut.rpartition(b'"')[2] for cut in cuts}) == len(cuts)


# -- messages --------------------------------------------------------------------------


def _refuse(error: msgspec.DecodeError, subject: str) -> NoReturn:
    """Raise what `msgspec` refused, in plain words."""
    said = str(error)
    if not isinstance(error, msgspec.ValidationError):
        raise BadJsonError("invalid_json", f"{subject} is not JSON") from None
    if (field := _FIELD.fullmatch(said)) is not None:
        missing = field[1] == "missing required"
        where = f" of `{_path(field[3])}`" if field[3] else ""
        what = "is missing" if missing else "is not known"
        code = "missing_field" if missing else "unknown_field"
        raise BadJsonError(code, f"the field {quoted(field[2])}{where} {what}") from None
    expected, _, where = said.partition(" - at `$")
    place = f"`{_path(where.rstrip('`'))}`" if where else subject
    raise BadJsonError("wrong_type", f"{place}: {_in_words(expected)}") from None


def _path(where: str) -> str:
    return where.removeprefix(".")


def _in_words(said: str) -> str:
    """`Expected `str | null`, got `int`` as people say it; anything else as it is, in lower case."""
    match = re.fullmatch(r"Expected `([a-z |]+)`, got `([a-z]+)`", said)
    if match is None:
        return escape(said[:1].lower() + said[1:])
    wanted = " or ".join(_TYPE_NAMES.get(name, name) for name in match[1].split(" | "))
    return f"expected {wanted}, got {_TYPE_NAMES.get(match[2], match[2])}"
