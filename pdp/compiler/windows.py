"""Times of week on a wall clock: whether an instant lies in one, and when that next changes.

The wall clock of an instant is always defined; the instant of a wall clock is not (nights on
which clocks change), so only the first direction decides anything. The second only proposes
candidates, each of which is then tested by the first.
"""

import re
from bisect import bisect_right
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Final, final
from zoneinfo import ZoneInfo

from pdp.limits import MAX_TIME_FLIPS
from pdp.vocabulary import Millis

__all__ = ["UnknownZoneError", "WeekWindow", "wall_clock"]

_DAY: Final = timedelta(days=1)
_FLIPS_KEPT: Final = 4 * MAX_TIME_FLIPS  # found at once, and looked up from then on
_DAYS_SEARCHED: Final = 7 * _FLIPS_KEPT  # a window flips at least once a week, or never
_MIDNIGHT: Final = 1440
_ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z][A-Za-z0-9_+-]*)*", re.ASCII)


class UnknownZoneError(ValueError):
    """The time zone database has no zone of that name."""


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    """The zone from the `tzdata` package: the same on every host, and part of the revision."""
    if not _ZONE_NAME.fullmatch(name):
        raise UnknownZoneError(name)
    try:
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
    except (OSError, ValueError) as error:
        raise UnknownZoneError(name) from error


def wall_clock(now: Millis, zone: str) -> datetime:
    """What the clocks of a zone show. Raises `UnknownZoneError`."""
    return datetime.fromtimestamp(now / 1000, _zone(zone))


@final
class WeekWindow:
    """`during DAYS START-END in ZONE`.

    The flips ahead are found once and kept with the interval they cover, so that asking costs a
    binary search. Replacing them is one reference assignment; what is kept never changes an answer.
    """

    __slots__ = ("_days", "_end", "_known", "_start", "_zone")

    def __init__(self, days: tuple[int, ...], start: int, end: int, zone: str) -> None:
        """Minutes of the day; raises `UnknownZoneError`."""
        self._days = frozenset(days)
        self._start = start
        self._end = end
        self._zone = _zone(zone)
        self._known = _Known(0, 0, value=False, flips=[])

    def holds(self, now: Millis) -> bool:
        """Whether the wall clock at `now` shows one of the days and a minute in the window."""
        known = self._known
        if not known.since <= now < known.until:
            known = self._known = self._look_ahead(now)
        return known.value ^ bool(bisect_right(known.flips, now) & 1)

    def next_flip(self, now: Millis) -> Millis | None:
        """The first instant after `now` at which `holds` changes; None if it never does."""
        known = self._known
        if not known.since <= now < known.until:
            known = self._known = self._look_ahead(now)
        index = bisect_right(known.flips, now)
        return known.flips[index] if index < len(known.flips) else None

    def _shows(self, now: Millis) -> bool:
        local = datetime.fromtimestamp(now / 1000, self._zone)
        return local.weekday() in self._days and self._start <= local.hour * 60 + local.minute < self._end

    def _look_ahead(self, now: Millis) -> "_Known":
        value = shown = self._shows(now)
        flips: list[Millis] = []
        first = datetime.fromtimestamp(now / 1000, self._zone).date()
        if len(self._days) == 7 and self._start == 0 and self._end == _MIDNIGHT:
            return _Known(now, _FOREVER, value=value, flips=flips)
        for offset in range(_DAYS_SEARCHED):
            for candidate in self._candidates(first + offset * _DAY):
                if candidate > now and self._shows(candidate) is not shown:
                    shown = not shown
                    flips.append(candidate)
            if len(flips) > _FLIPS_KEPT:
                break
        # The last one is not answered from: what comes after it has not been looked for.
        return _Known(now, flips[-1] if flips else _FOREVER, value=value, flips=flips)

    def _candidates(self, day: date) -> list[Millis]:
        """Instants of a local day at which the answer can change, ascending.

        They are the window's edges, on nights that repeat an hour both of them, and the instant at
        which the clock changes. All lie before those of the next day.
        """
        start, end = self._instant(day, 0, 0), self._instant(day + _DAY, 0, 0)
        edges = {self._instant(day, minute, fold) for minute in (self._start, self._end) for fold in (0, 1)}
        found = {start, *(edge for edge in edges if start <= edge < end)}
        if self._offset(start) != self._offset(end):
            found.add(self._clock_change(start, end))
        return sorted(found)

    def _instant(self, day: date, minute: int, fold: int) -> Millis:
        day, minute = (day + _DAY, 0) if minute == _MIDNIGHT else (day, minute)
        wall = datetime.combine(day, time(minute // 60, minute % 60, fold=fold), self._zone)
        return round(wall.timestamp() * 1000)

    def _offset(self, now: Millis) -> timedelta | None:
        return datetime.fromtimestamp(now / 1000, self._zone).utcoffset()

    def _clock_change(self, low: Millis, high: Millis) -> Millis:
        before = self._offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle) == before:
                low = middle
            else:
                high = middle
        return high


@final
class _Known:
    """Flips in `[since, until)`, and whether the window holds at `since`."""

    __slots__ = ("flips", "since", "until", "value")

    def __init__(self, since: Millis, until: Millis, *, value: bool, flips: list[Millis]) -> None:
        self.since = since
        self.until = until
        self.value = value
        self.flips = flips


_FOREVER: Final[Millis] = 1 << 62
