"""Instants as they stand in the log."""

from datetime import UTC, datetime, timedelta
from typing import Final

from pdp.vocabulary import Millis

__all__ = ["instant"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at: Millis) -> str:
    """An instant as RFC 3339 has it, in UTC."""
    moment = _EPOCH + timedelta(milliseconds=at)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
