"""Instants as they stand in the log."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from pdp.vocabulary import Millis

__all__ = ["instant"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at: Millis) -> str:
    """An instant as RFC 3339 has it, in UTC."""
    seconds, milliseconds = divmod(at, 1000)
    return f"{_second(seconds)}.{milliseconds:03}Z"


@lru_cache(maxsize=8)  # thousands of lines are of one second
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat().removesuffix("+00:00")
