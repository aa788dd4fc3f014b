"""Decision ids: ULIDs, which sort by time and need no coordination between workers.

An id names one answer in logs, in reports of reuse and when people ask about it. It is not a
secret and grants nothing.
"""

from typing import Final

from pdp.vocabulary import Millis

__all__ = ["RANDOM_BYTES", "new_decision_id"]

#: How many random bytes an id takes (ULID specification: 80 bits of randomness).
RANDOM_BYTES: Final = 10

# Crockford's alphabet: no I, L, O or U, so that an id survives being read out.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
# 26 characters of five bits are 130 bits, the first two of them zero: 13 pairs.
_SHIFTS: Final = tuple(range(120, -1, -10))
_MAX_TIME: Final = (1 << 48) - 1  # the year 10889


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
        raise ValueError("the instant of a decision id is before 1970 or after 10889")
    value = now << 80 | int.from_bytes(randomness)
    return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])
