"""JSON as it arrives from outside: read in exactly one way, or refused.

Two parsers that disagree about a document are how a check and the thing it guards come apart,
so whatever RFC 8259 leaves to the parser (duplicate keys, huge numbers, lone surrogates) is
refused here, and so is NUL. Types and fields are `msgspec`'s; its messages are made plain.

Most documents need no second look: `_plainly_strict` sees with a few scans at the speed of C
that nothing of the kind can be in them. All others are read by the standard library first.
INVARIANT: what is plainly strict and decoded by `msgspec` would pass `_require_strict` too;
`tests/adapters/test_strict_json.py` holds the two against each other.
"""

import json
import re
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeVar, cast, final

import msgspec

from pdp.diagnostics import escape
from pdp.limits import MAX_JSON_DEPTH

__all__ = ["BadJsonError", "decode"]

_T = TypeVar("_T")

_INT64: Final = range(-(1 << 63), 1 << 63)
_LONGEST_NUMBER: Final = 64  # characters: no double needs more than 24, no 64-bit integer more than 20
_SHOWN: Final = 60  # characters of the sender's own text in a message

# -- the short way ---------------------------------------------------------------------
_PLAIN: Final = bytes(set(range(0x20, 0x7F)) - {ord("\\")})
_ZEROED: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 19  # the shortest that can pass 64 bits

# -- the long way ----------------------------------------------------------------------
# A string, closed or not, matches as a whole and without backtracking: linear in its length.
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MALFORMED: Final = {
    "Expecting value": "a value is missing or malformed",
    "Expecting property name enclosed in double quotes": "a key in double quotes is missing",
    "Illegal trailing comma before end of object": "a key in double quotes is missing",
    "Illegal trailing comma before end of array": "a value is missing or malformed",
    "Expecting ':' delimiter": "a `:` is missing",
    "Expecting ',' delimiter": "a `,` or a closing bracket is missing",
    "Unterminated string starting at": "a string is not closed",
    "Invalid control character at": "a string holds a control character, which must be escaped",
    "Invalid \\escape": "a string holds an escape that does not exist",
    "Invalid \\uXXXX escape": "a string holds a `\\u` without four hexadecimal digits",
}

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


@final
class BadJsonError(ValueError):
    """A document that is not strict JSON, or not of the type that is wanted.

    Attributes:
        code: Stable snake_case name, documented in `docs/api.md`.
        message: One sentence for whoever sent it, safe to print.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def decode(body: bytes, type_: type[_T], *, max_bytes: int) -> _T:
    """Read one JSON document as a value of a type that `msgspec` knows.

    Args:
        body: The document, UTF-8 (RFC 8259 section 8.1).
        type_: What it must be.
        max_bytes: Its greatest length.

    Raises:
        BadJsonError: It is too long, not strict JSON, or not of that type.
    """
    if len(body) > max_bytes:
        raise BadJsonError("body_too_large", f"this has more than {max_bytes} bytes")
    plain = _plainly_strict(body)
    if not plain:
        _require_strict(body)
    try:
        return cast("_T", _decoder(cast("Hashable", type_)).decode(body))
    except msgspec.DecodeError as error:  # a ValidationError is one of them
        if plain:
            _require_strict(body)  # says it better, and the same as for a document that is not plain
        _refuse(error)


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


# -- strictness ------------------------------------------------------------------------


def _require_strict(body: bytes) -> None:
    """Raise BadJsonError unless every parser must read this document in the same way."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"byte {error.start} is {body[error.start]:#04x}"
        raise BadJsonError("not_utf8", f"this is not UTF-8: {found}") from None
    if text.startswith("\ufeff"):
        raise BadJsonError("invalid_json", "this begins with a byte order mark")
    if "\0" in text:
        at = _place(text, text.index("\0"))
        raise BadJsonError("nul_character", f"this holds a NUL character at {at}")
    _require_shallow(text)
    try:
        value = _STRICT.decode(text)
    except json.JSONDecodeError as error:
        _refuse_malformed(error)
    if "\\" in text:
        _require_text(value)


def _require_shallow(text: str) -> None:
    """Bound the depth before any parser that recurses sees the text."""
    depth = 0
    for match in _STRUCTURE.finditer(text):
        token = match[0]
        if token in {"[", "{"}:
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise BadJsonError("too_deep", f"this nests more than {MAX_JSON_DEPTH} deep")
        elif token in {"]", "}"}:
            depth -= 1


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadJsonError("duplicate_key", f"the key {_quoted(key)} stands twice in one object")
            seen.add(key)
    return found


def _not_json(word: str) -> NoReturn:
    raise BadJsonError("invalid_number", f"`{word}` is not a number of JSON")


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER or (value := int(text)) not in _INT64:
        raise BadJsonError("number_out_of_range", f"{_quoted(text)} is not a signed 64-bit integer")
    return value


def _float(text: str) -> float:
    if len(text) > _LONGEST_NUMBER or (value := float(text)) in {float("inf"), float("-inf")}:
        raise BadJsonError("number_out_of_range", f"the number {_quoted(text)} is too large, or too long")
    return value


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_distinct, parse_constant=_not_json, parse_int=_integer, parse_float=_float
)


def _require_text(value: object) -> None:
    """Raise for what escapes brought into strings: NUL, and halves of surrogate pairs."""
    if isinstance(value, str):
        if "\0" in value:
            raise BadJsonError("nul_character", "a string holds an escaped NUL character")
        if _SURROGATE.search(value) is not None:
            raise BadJsonError("lone_surrogate", "a string holds half of a surrogate pair")
    elif isinstance(value, list):
        for item in value:
            _require_text(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _require_text(key)
            _require_text(item)


# -- messages --------------------------------------------------------------------------


def _refuse_malformed(error: json.JSONDecodeError) -> NoReturn:
    at = _place(error.doc, error.pos)
    if not error.doc.strip(" \t\r\n"):
        raise BadJsonError("invalid_json", "this is empty") from None
    if error.msg == "Extra data":
        raise BadJsonError("trailing_data", f"something follows the JSON value at {at}") from None
    what = _MALFORMED.get(error.msg, "it is malformed")
    raise BadJsonError("invalid_json", f"this is not JSON: {what} at {at}") from None


def _place(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"line {line}, column {offset - (text.rfind(chr(10), 0, offset) + 1) + 1}"


def _refuse(error: msgspec.DecodeError) -> NoReturn:
    """Raise what `msgspec` refused, in plain words."""
    said = str(error)
    if not isinstance(error, msgspec.ValidationError):
        raise BadJsonError("invalid_json", "this is not JSON") from None
    if (field := _FIELD.fullmatch(said)) is not None:
        missing = field[1] == "missing required"
        where = f" of `{_path(field[3])}`" if field[3] else ""
        what = "is missing" if missing else "is not known"
        code = "missing_field" if missing else "unknown_field"
        raise BadJsonError(code, f"the field {_quoted(field[2])}{where} {what}") from None
    expected, _, where = said.partition(" - at `$")
    subject = f"`{_path(where.rstrip('`'))}`" if where else "this"
    raise BadJsonError("wrong_type", f"{subject}: {_in_words(expected)}") from None


def _path(where: str) -> str:
    return where.removeprefix(".")


def _in_words(said: str) -> str:
    """`Expected `str | null`, got `int`` as people say it; anything else as it is, in lower case."""
    match = re.fullmatch(r"Expected `([a-z |]+)`, got `([a-z]+)`", said)
    if match is None:
        return escape(said[:1].lower() + said[1:])
    wanted = " or ".join(_TYPE_NAMES.get(name, name) for name in match[1].split(" | "))
    return f"expected {wanted}, got {_TYPE_NAMES.get(match[2], match[2])}"


def _quoted(text: str) -> str:
    return f"`{escape(text[:_SHOWN])}{'...' if len(text) > _SHOWN else ''}`"
