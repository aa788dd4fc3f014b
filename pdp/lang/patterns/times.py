"""Times: instants, durations, days of the week and minutes of the day.

The clock is never read here; what a window is in a zone is left to `pdp.compiler.windows`.
"""

import re
from datetime import UTC, datetime
from typing import Final

from pdp.lang.patterns.problem import fail
from pdp.vocabulary import Millis

__all__ = ["days", "duration", "instant", "minutes"]

_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_CLOCK: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)", re.ASCII)
_DURATION: Final = re.compile(r"(\d{1,9})(ms|s|m|h)", re.ASCII)
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def instant(text: str) -> Millis:
    """A date, or a date and time; UTC unless an offset is written."""
    match = _DATE.fullmatch(text)
    if match is None:
        help_ = "write `2027-03-31` or `2027-03-31T09:00+01:00`"
        fail("PDP323", f"`{text}` is not a date", (0, len(text)), help_)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        help_ = "months go from 01 to 12, days to the end of the month, hours from 00 to 23"
        fail("PDP323", f"`{text}` is not a date of the calendar", (0, len(text)), help_)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def duration(text: str) -> Millis:
    """`500ms`, `30s`, `5m` or `1h`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        fail("PDP324", f"`{text}` is not a duration", (0, len(text)), "write `500ms`, `30s`, `5m` or `1h`")
    return int(match[1]) * _UNITS[match[2]]


def days(text: str) -> tuple[int, ...]:
    """`daily`, `mon` or `mon-fri`; a range may pass over Sunday."""
    if text == "daily":
        return tuple(range(7))
    first, dash, last = text.partition("-")
    if first not in _WEEKDAYS or (dash and last not in _WEEKDAYS):
        help_ = "write `mon`, `mon-fri`, a list of these, or `daily`"
        fail("PDP325", f"`{text}` is not a day of the week", (0, len(text)), help_)
    start = _WEEKDAYS.index(first)
    count = (_WEEKDAYS.index(last) - start) % 7 + 1 if dash else 1
    return tuple((start + step) % 7 for step in range(count))


def minutes(text: str) -> tuple[int, int]:
    """`09:00-17:00` as minutes of the day, the end exclusive."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        fail("PDP326", f"`{text}` is not a time of day", (0, len(text)), "write `09:00-17:00`")
    hours, mins, end_hours, end_mins = map(int, match.groups())
    start, end = hours * 60 + mins, end_hours * 60 + end_mins
    if max(mins, end_mins) > 59 or max(start, end) > 1440:
        fail(
            "PDP326",
            f"`{text}` is not a time of day",
            (0, len(text)),
            "hours go from 00 to 24 and minutes from 00 to 59",
        )
    if start >= end:
        help_ = (
            "a window over midnight is two: `during daily 22:00-24:00 ... or during daily 00:00-06:00 ...`"
        )
        fail("PDP327", "the window does not end after it begins", (0, len(text)), help_)
    return start, end
