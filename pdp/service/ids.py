"""Decision ids: ULIDs, which sort by time and need no coordination between workers.

An id names one answer in logs, in reports of reuse and when people ask about it. It is not a
secret and grants nothing.
"""

import os
from collections.abc import Iterator
from typing import Final, final

from pdp.vocabulary import Millis

__all__ = ["RANDOM_BYTES", "DecisionIds", "new_decision_id"]

#: How many random bytes an id takes (ULID specification: 80 bits of randomness).
RANDOM_BYTES: Final = 10

# Crockford's alphabet: no I, L, O or U, so that an id survives being read out.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
# 26 characters of five bits are 130 bits, the first two of them zero: 13 pairs.
_SHIFTS: Final = tuple(range(120, -1, -10))
_MAX_TIME: Final = (1 << 48) - 1  # the year 10889
_OUT_OF_RANGE: Final = "the instant of a decision id is before 1970 or after 10889"
_TIME_SHIFTS: Final = tuple(range(40, -1, -10))  # the first five pairs are of the time alone


def new_decision_id(now: Millis, randomness: bytes) -> str:
    """A ULID: 48 bits of time, 80 of randomness, as 26 characters.

    Args:
        now: The instant of the decision.
        randomness: `RANDOM_BYTES` bytes that nobody else uses.

    Raises:
        ValueError: The instant or the number of bytes is out of range.
    """
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"a decision id takes {RANDOM_BYTES} random bytes, not {len(randomness)}")
    if not 0 <= now <= _MAX_TIME:
        raise ValueError(_OUT_OF_RANGE)
    value = now << 80 | int.from_bytes(randomness)
    return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])


@final
class DecisionIds:
    """Makes ids one after the other, for one process.

    Of 1024 in a row the first 70 random bits are the same, and the last ten count: a tenth of the work. Two
    processes come to the same id only if they draw the same 70 bits, and use them in the same millisecond.
    """

    __slots__ = ("_drawn", "_ends", "_now", "_time")

    def __init__(self) -> None:
        self._now: Millis | None = None
        self._time = self._drawn = ""
        self._ends: Iterator[str] = iter(())

    def new(self, now: Millis) -> str:
        """The next id.

        Raises:
            ValueError: The instant is out of range.
        """
        if now != self._now:
            if not 0 <= now <= _MAX_TIME:
                raise ValueError(_OUT_OF_RANGE)
            self._time = "".join([_PAIRS[now >> shift & 1023] for shift in _TIME_SHIFTS])
            self._now = now
        end = next(self._ends, None)
        if end is None:
            self._drawn = new_decision_id(0, os.urandom(RANDOM_BYTES))[_TIME_CHARS:-2]
            self._ends = iter(_PAIRS)
            end = next(self._ends)
        return self._time + self._drawn + end


_TIME_CHARS: Final = 10
