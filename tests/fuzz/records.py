"""Messages of protocol buffers as records: changed in their structure, and written again."""

import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

__all__ = ["change"]

_VALUES: Final = (0, 1, 2, 3, 127, 128, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_LENGTH: Final = 2


@dataclass(slots=True)
class _Record:
    """A field: its number and wire type, and its value: a number, bytes, or fields in turn."""

    number: int
    kind: int
    value: "int | bytes | list[_Record]"

    def encode(self) -> bytes:
        tag = _varint(self.number << 3 | self.kind)
        if isinstance(self.value, int):
            return tag + _varint(self.value)
        content = self.value if isinstance(self.value, bytes) else _encode(self.value)
        return tag + _varint(len(content)) + content

    def all(self) -> "Iterator[_Record]":
        yield self
        if isinstance(self.value, list):
            for record in self.value:
                yield from record.all()


def _encode(records: list[_Record]) -> bytes:
    return b"".join(record.encode() for record in records)


def _varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _number_at(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("no number")


def _read(data: bytes) -> list[_Record]:
    """The records. Text that happens to be some is taken for some: it is written as it was."""
    found, at = [], 0
    while at < len(data):
        tag, at = _number_at(data, at)
        value, at = _number_at(data, at)
        if tag & 7 not in {0, _LENGTH} or tag < 8 or (tag & 7 == _LENGTH and at + value > len(data)):
            raise ValueError("no record")
        record = _Record(tag >> 3, tag & 7, value)
        if tag & 7 == _LENGTH:
            content, at = data[at : at + value], at + value
            try:
                record.value = _read(content) if content else content
            except ValueError:
                record.value = content
        found.append(record)
    return found


def change(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """One change in the structure, or a few; `other` lends records. What is no message stays as it is."""
    try:
        whole, lent = _Record(1, _LENGTH, _read(data)), [r for each in _read(other) for r in each.all()]
    except ValueError:
        return data
    for _ in range(min(4, 1 + int(rng.expovariate(1.5)))):
        _change_once(rng, whole, lent)
    return _encode(whole.value) if isinstance(whole.value, list) else data


def _change_once(rng: random.Random, whole: _Record, lent: list[_Record]) -> None:
    around = rng.choice([record.value for record in whole.all() if isinstance(record.value, list)])
    at = rng.randint(0, len(around))
    record = around[min(at, len(around) - 1)] if around else None
    match rng.randint(0, 6):
        case 0 if around:
            around.insert(at, deepcopy(rng.choice(around)))
        case 1 if record is not None:
            around.remove(record)
        case 2:
            rng.shuffle(around)
        case 3 if lent:
            around.insert(at, deepcopy(rng.choice(lent)))
        case 4 if record is not None:
            record.number = rng.randint(1, 11)
        case 5 if record is not None and isinstance(record.value, int):
            record.value = rng.choice(_VALUES)
        case _ if record is not None and rng.random() < 0.3:
            record.kind, record.value = rng.choice(
                ((0, 1), (_LENGTH, b""), (_LENGTH, b"\xff"), (_LENGTH, b"a\0"))
            )
