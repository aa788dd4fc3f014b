"""Inputs made from other inputs: a seed with a few places changed.

Every change is drawn from a `random.Random` that is given, so that a run can be had again. What an
input means is not known here; the words of its language and the characters that break it are given.
"""

import random
import re
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

__all__ = ["NUMBERS", "ODD_BYTES", "ODD_TEXT", "Mutator"]

T = TypeVar("T", str, bytes)

#: Characters that end, hide, reorder or break text.
ODD_TEXT: Final = (
    "\0", "\x01", "\t", "\n", "\r", "\r\n", "\x0b", "\x1c", " ", '"', "'", "\\", "#", "%", "/", "\x7f",
    "\x85", "\u00a0", "\u00e9", "e\u0301", "\u0130", "\u1e9e", "\u2028", "\u202e", "\u200b", "\u2215",
    "\u212a", "\ufeff", "\uff0f", "\U0001f600", "{", "}", "(", ")", "[", "]", ",", ";", ":", "=",
    "*", "-", ".", "~",
)  # fmt: skip
ODD_BYTES: Final = (
    *(bytes([value]) for value in (0, 1, 9, 10, 13, 32, 34, 37, 47, 58, 92, 127, 128, 192, 224, 240, 254)),
    b"\xff", b"\r\n", b"\xc0\xaf", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf4\x90\x80\x80",
)  # fmt: skip
#: At and beyond the ends of what numbers can be.
NUMBERS: Final = (
    "0", "-1", "1", "00", "01", "7f", "127", "255", "256", "65535", "65536", "2147483648", "4294967296",
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e999",
    "0.1", "9" * 40,
)  # fmt: skip
_TIMES: Final = (2, 2, 3, 17, 130, 1000, 20_000)
_MOST_EDITS: Final = 6
_SLICE: Final = 24  # a slice is seldom longer than this: most changes are to stay small
_WORDS_KEPT: Final = 2000


def _a_letter(rng: random.Random) -> str:
    return chr(rng.randrange(*rng.choice(((0x20, 0x7F), (0, 0x250), (0, 0xD800), (0xE000, 0x20000)))))


def _a_byte(rng: random.Random) -> bytes:
    return bytes([rng.randrange(256)])


class Mutator(Generic[T]):
    """Changes inputs of one kind.

    Args:
        seeds: Inputs, from which words are taken too.
        words: Expression for a word of the language.
        odd: What breaks it.
        extra: More words.
        largest: Longest input made.
    """

    def __init__(
        self,
        seeds: Sequence[T],
        words: T,
        odd: Sequence[T],
        *,
        extra: Sequence[T] = (),
        largest: int = 100_000,
    ) -> None:
        self._empty: T = words[:0]
        self._number = re.compile(r"[0-9]+" if isinstance(words, str) else b"[0-9]+")
        numbers = NUMBERS if isinstance(words, str) else tuple(n.encode() for n in NUMBERS)
        self._numbers: Sequence[T] = numbers  # type: ignore[assignment]
        self._word = re.compile(words)
        self._character: Callable[[random.Random], T] = _a_letter if isinstance(words, str) else _a_byte
        found = {word for seed in seeds for word in self._word.findall(seed)}
        self._words = [*sorted(found, key=lambda word: (len(word), word))[:_WORDS_KEPT], *extra]
        self._odd = odd
        self._largest = largest
        self._edits: Sequence[Callable[[random.Random, T, T], T]] = (
            self._insert, self._insert, self._replace, self._replace, self._delete, self._double,
            self._move, self._cross, self._cut, self._renumber, self._swap_words, self._odd_character,
            self._any_character, self._stretch,
        )  # fmt: skip

    def __call__(self, rng: random.Random, data: T, other: T) -> T:
        """One to six changes; `other` lends pieces."""
        for _ in range(min(_MOST_EDITS, 1 + int(rng.expovariate(0.7)))):
            data = rng.choice(self._edits)(rng, data, other)
        return data[: self._largest]

    def _slice(self, rng: random.Random, data: T) -> tuple[int, int]:
        start = rng.randint(0, len(data))
        size = rng.randint(0, _SLICE) if rng.random() < 0.8 else rng.randint(0, len(data))
        return start, min(len(data), start + size)

    def _any_word(self, rng: random.Random) -> T:
        return rng.choice(self._words) if self._words and rng.random() < 0.7 else rng.choice(self._odd)

    def _insert(self, rng: random.Random, data: T, _: T) -> T:
        at = rng.randint(0, len(data))
        return data[:at] + self._any_word(rng) + data[at:]

    def _replace(self, rng: random.Random, data: T, _: T) -> T:
        """A whole word by another."""
        found = self._word.search(data, rng.randint(0, len(data)))
        if found is None:
            return data
        return data[: found.start()] + self._any_word(rng) + data[found.end() :]

    def _delete(self, rng: random.Random, data: T, _: T) -> T:
        start, end = self._slice(rng, data)
        return data[:start] + data[end:]

    def _double(self, rng: random.Random, data: T, _: T) -> T:
        start, end = self._slice(rng, data)
        return data[:end] + data[start:]

    def _move(self, rng: random.Random, data: T, _: T) -> T:
        start, end = self._slice(rng, data)
        rest = data[:start] + data[end:]
        at = rng.randint(0, len(rest))
        return rest[:at] + data[start:end] + rest[at:]

    def _cross(self, rng: random.Random, data: T, other: T) -> T:
        start, end = self._slice(rng, other)
        at, until = self._slice(rng, data)
        return data[:at] + other[start:end] + data[until:]

    def _cut(self, rng: random.Random, data: T, _: T) -> T:
        if rng.random() < 0.7:
            return data
        at = rng.randint(0, len(data))
        return data[:at] if rng.random() < 0.7 else data[at:]

    def _renumber(self, rng: random.Random, data: T, _: T) -> T:
        found = self._number.search(data, rng.randint(0, len(data)))
        if found is None:
            return data
        return data[: found.start()] + rng.choice(self._numbers) + data[found.end() :]

    def _swap_words(self, rng: random.Random, data: T, _: T) -> T:
        first = self._word.search(data, rng.randint(0, len(data)))
        second = self._word.search(data, rng.randint(first.end(), len(data))) if first else None
        if first is None or second is None:
            return data
        between = data[first.end() : second.start()]
        return data[: first.start()] + second[0] + between + first[0] + data[second.end() :]

    def _odd_character(self, rng: random.Random, data: T, _: T) -> T:
        at = rng.randint(0, len(data))
        return data[:at] + rng.choice(self._odd) + data[at + rng.randint(0, 1) :]

    def _any_character(self, rng: random.Random, data: T, _: T) -> T:
        at = rng.randint(0, len(data))
        return data[:at] + self._character(rng) + data[at + 1 :]

    def _stretch(self, rng: random.Random, data: T, _: T) -> T:
        """A piece many times over: what is quadratic shows, and so is what has no bound."""
        start, end = self._slice(rng, data)
        piece = data[start:end] or self._any_word(rng)
        times = min(rng.choice(_TIMES), max(1, self._largest // len(piece)))
        return data[:start] + piece * times + data[end:]
