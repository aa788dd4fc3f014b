"""Whether a JSON document is read by every parser in the same way: the long way of telling.

Two parsers that disagree about a document are how a check and the thing it guards come apart,
so whatever RFC 8259 leaves to the parser (duplicate keys, huge numbers, lone surrogates) is
refused here, and so is NUL. What the document holds is left to `pdp.adapters.strict_json` for
questions, and to `pdp.identity` for tokens and keys.
"""

import json
import re
from typing import Any, Final, NoReturn, final

from pdp.diagnostics import escape
from pdp.limits import MAX_JSON_DEPTH

__all__ = ["BadJsonError", "quoted", "require_strict", "strict_value"]

_INT64: Final = range(-(1 << 63), 1 << 63)
_LONGEST_NUMBER: Final = 64  # characters: no double needs more than 24, no 64-bit integer more than 20
_SHOWN: Final = 60  # characters of the sender's own text in a message
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


def require_strict(body: bytes, subject: str) -> None:
    """Raise BadJsonError unless every parser must read this document in the same way.

    Args:
        body: The document.
        subject: What a message calls it.
    """
    strict_value(body, subject)


def strict_value(body: bytes, subject: str) -> Any:
    """What a document holds that every parser must read in the same way.

    Args:
        body: The document, UTF-8 (RFC 8259 section 8.1).
        subject: What a message calls it.

    Raises:
        BadJsonError: Two parsers could disagree about it, or it is no JSON.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"byte {error.start} is {body[error.start]:#04x}"
        raise BadJsonError("not_utf8", f"{subject} is not UTF-8: {found}") from None
    if text.startswith("\ufeff"):
        raise BadJsonError("invalid_json", f"{subject} begins with a byte order mark")
    if "\0" in text:
        at = _place(text, text.index("\0"))
        raise BadJsonError("nul_character", f"{subject} holds a NUL character at {at}")
    _require_shallow(text, subject)
    try:
        value = _STRICT.decode(text)
    except json.JSONDecodeError as error:
        _refuse_malformed(error, subject)
    if "\\" in text:
        _require_text(value)
    return value


def _require_shallow(text: str, subject: str) -> None:
    """Bound the depth before any parser that recurses sees the text."""
    depth = 0
    for match in _STRUCTURE.finditer(text):
        token = match[0]
        if token in {"[", "{"}:
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise BadJsonError("too_deep", f"{subject} nests more than {MAX_JSON_DEPTH} deep")
        elif token in {"]", "}"}:
            depth -= 1


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadJsonError("duplicate_key", f"the key {quoted(key)} stands twice in one object")
            seen.add(key)
    return found


def _not_json(word: str) -> NoReturn:
    raise BadJsonError("invalid_number", f"`{word}` is not a number of JSON")


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER or (value := int(text)) not in _INT64:
        raise BadJsonError("number_out_of_range", f"{quoted(text)} is not a signed 64-bit integer")
    return value


def _float(text: str) -> float:
    if len(text) > _LONGEST_NUMBER or (value := float(text)) in {float("inf"), float("-inf")}:
        raise BadJsonError("number_out_of_range", f"the number {quoted(text)} is too large, or too long")
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


def _refuse_malformed(error: json.JSONDecodeError, subject: str) -> NoReturn:
    at = _place(error.doc, error.pos)
    if not error.doc.strip(" \t\r\n"):
        raise BadJsonError("invalid_json", f"{subject} is empty") from None
    if error.msg == "Extra data":
        raise BadJsonError("trailing_data", f"something follows the JSON value at {at}") from None
    what = _MALFORMED.get(error.msg, "it is malformed")
    raise BadJsonError("invalid_json", f"{subject} is not JSON: {what} at {at}") from None


def _place(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"line {line}, column {offset - (text.rfind(chr(10), 0, offset) + 1) + 1}"


def quoted(text: str) -> str:
    """The sender's own text in a message: escaped, and cut where it is long."""
    return f"`{escape(text[:_SHOWN])}{'...' if len(text) > _SHOWN else ''}`"
