"""The wire format of protocol buffers, read a second time and without protobuf: one reading, or none.

Written from https://protobuf.dev/programming-guides/encoding/ and `decision.proto` alone, so that
the service's own reading is not held against itself. It knows the message `pdp.v1.Question` only.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

__all__ = ["NotOneReadingError", "fields_of_question"]

_VARINT, _LENGTH = 0, 2
_LONGEST_VARINT: Final = 10


class NotOneReadingError(Exception):
    """Two readers could come to different messages, or one to none."""


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise NotOneReadingError(otherwise)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count in range(_LONGEST_VARINT):
        _require(at + count < len(data), "a number is cut off")
        byte = data[at + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            _require(byte != 0 or count == 0, "a number is longer than it needs to be")
            _require(value < 1 << 64, "a number has more than 64 bits")
            return value, at + count + 1
    raise NotOneReadingError("a number does not end")


def _records(data: bytes) -> Iterator[tuple[int, int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        _require(tag < 1 << 32, "a tag has more than 32 bits")
        number, kind = tag >> 3, tag & 7
        _require(number > 0, "a field has the number 0")
        _require(kind in {_VARINT, _LENGTH}, "no field of ours has this wire type")
        value, at = _varint(data, at)
        if kind == _LENGTH:
            _require(at + value <= len(data), "a field is cut off")
            yield number, kind, data[at : at + value]
            at += value
        else:
            yield number, kind, value


_Reader = Callable[[Any], Any]
_Known = Mapping[int, tuple[str, int, _Reader, bool]]


def _read(data: bytes, known: _Known, one_of: frozenset[str] = frozenset()) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, kind, value in _records(data):
        _require(number in known, f"there is no field {number}")
        name, wanted, reader, repeated = known[number]
        _require(kind == wanted, f"the field `{name}` has another wire type")
        if repeated:
            found.setdefault(name, []).append(reader(value))
        else:
            _require(name not in found, f"the field `{name}` stands twice")
            found[name] = reader(value)
    _require(len(one_of & set(found)) <= 1, "two of which only one can be")
    return found


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise NotOneReadingError("a string is not UTF-8") from None


def _truth(value: int) -> bool:
    _require(value in {0, 1}, "a truth value is another number")
    return bool(value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _field(name: str, reader: _Reader, *, repeated: bool = False) -> tuple[str, int, _Reader, bool]:
    kind = _VARINT if reader in {_truth, _signed} else _LENGTH
    return name, kind, reader, repeated


def _implicit(found: dict[str, Any], name: str) -> Any:
    """A field without presence: its default is not written."""
    _require(found.get(name) != "", f"the default of `{name}` is written")
    return found.get(name, "")


def _line(data: bytes) -> tuple[str, str]:
    found = _read(data, {1: _field("name", _text), 2: _field("value", _text)})
    return _implicit(found, "name"), _implicit(found, "value")


def _forwarded(data: bytes) -> dict[str, Any]:
    found = _read(data, {1: _field("form", _text), 2: _field("headers", _line, repeated=True)})
    headers: dict[str, list[str]] = {}
    for name, value in found.get("headers", []):
        headers.setdefault(name, []).append(value)
    return {**found, "headers": headers}


_KINDS: Final = {
    **{n: _field(name, _text) for n, name in ((1, "spiffe"), (2, "dns"), (3, "jwt"), (5, "certificate"))},
    4: _field("anonymous", _truth),
    6: _field("forwarded", _forwarded),
}
_USER: Final = {
    1: _field("issuer", _text),
    2: _field("subject", _text),
    3: _field("groups", _text, repeated=True),
    4: _field("jwt", _text),
}


def _principal(data: bytes) -> dict[str, Any]:
    return _read(data, _KINDS, frozenset(name for name, *_ in _KINDS.values()))


def _user(data: bytes) -> dict[str, Any]:
    return {"groups": [], **_read(data, _USER)}


def _texts(data: bytes) -> list[str]:
    items: list[str] = _read(data, {1: _field("items", _text, repeated=True)}).get("items", [])
    return items


def _absent(data: bytes) -> None:
    _read(data, {})


_VALUES: Final = {2: _field("text", _text), 3: _field("integer", _signed), 4: _field("boolean", _truth),
                  5: _field("texts", _texts), 6: _field("absent", _absent)}  # fmt: skip


def _attribute(data: bytes) -> tuple[str, Any]:
    found = _read(
        data, {1: _field("name", _text), **_VALUES}, frozenset(name for name, *_ in _VALUES.values())
    )
    name = _implicit(found, "name")
    return name, next((value for key, value in found.items() if key != "name"), None)


_QUESTION: Final = {
    1: _field("principal", _principal),
    **{n: _field(name, _text) for n, name in ((2, "method"), (3, "path"), (4, "service"), (5, "host"))},
    6: _field("user", _user),
    7: _field("context", _attribute, repeated=True),
    8: _field("at_least", _text),
    9: _field("explain", _truth),
}


def fields_of_question(data: bytes) -> dict[str, Any]:
    """What a message `pdp.v1.Question` says, as JSON says it.

    Raises:
        NotOneReadingError: It does not say one thing.
    """
    found = _read(data, _QUESTION)
    nothing = {
        "principal": {},
        "service": None,
        "host": None,
        "user": None,
        "at_least": None,
        "explain": False,
    }
    context = found.get("context", [])
    _require(len({name for name, _ in context}) == len(context), "an attribute stands twice")
    return {**nothing, **found, "context": dict(context)}
