"""Times of week against the wall clock itself, minute by minute, through nights on which clocks change."""

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from pdp.compiler.windows import UnknownZoneError, WeekWindow, wall_clock

MINUTE = 60_000
DAY = 1440 * MINUTE
WEEK = 7 * DAY
MONDAY_TO_FRIDAY = (0, 1, 2, 3, 4)
EVERY_DAY = tuple(range(7))

#: Nights on which clocks change: an hour, half an hour, at midnight, a whole day.
NIGHTS = [
    ("Europe/Berlin", datetime(2027, 3, 28, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2027, 10, 31, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2027, 4, 3, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2027, 10, 2, 15, 30, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2025, 3, 29, 22, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2025, 10, 25, 21, tzinfo=UTC)),
    ("America/Havana", datetime(2025, 3, 9, 5, tzinfo=UTC)),
    ("America/Havana", datetime(2025, 11, 2, 5, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("UTC", datetime(2027, 3, 28, 1, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2027, 3, 28, 1, tzinfo=UTC)),
]
WINDOWS = [
    (MONDAY_TO_FRIDAY, 540, 1020),
    (EVERY_DAY, 120, 180),
    (EVERY_DAY, 90, 121),
    (EVERY_DAY, 0, 60),
    (EVERY_DAY, 0, 1440),
    (EVERY_DAY, 1380, 1440),
    (EVERY_DAY, 150, 155),
    (EVERY_DAY, 0, 30),
    ((6,), 0, 1440),
    ((5, 6), 60, 150),
    ((3,), 1, 1439),
    (EVERY_DAY, 15, 720),
    (EVERY_DAY, 45, 600),
]


def millis(instant):
    return int(instant.timestamp() * 1000)


@cache
def zone_of(name):
    """From the package, as the code under test does it: the system's may be of another year."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file)


def shows(days, start, end, zone, now):
    wall = datetime.fromtimestamp(now // 1000, zone_of(zone))
    return wall.weekday() in days and start <= wall.hour * 60 + wall.minute < end


@pytest.mark.parametrize(("zone", "change"), NIGHTS, ids=str)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_through_a_night_on_which_clocks_change(zone, change, window):
    first = millis(change) - 2 * DAY
    minutes = range(first, first + 4 * DAY, MINUTE)
    shown = {now: shows(*window, zone, now) for now in minutes}
    flips = [after for before, after in pairwise(minutes) if shown[before] is not shown[after]]
    one = WeekWindow(*window, zone)

    for now in minutes:
        assert one.holds(now) is shown[now]
        assert one.holds(now + MINUTE - 1) is shown[now]
    for before, after in pairwise([first, *flips]):
        assert one.next_flip(before) == after
        assert one.next_flip(after - 1) == after


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe"])
def test_what_is_kept_never_changes_an_answer(zone, window):
    random = Random(1)
    one = WeekWindow(*window, zone)
    base = millis(datetime(2026, 11, 22, tzinfo=UTC))
    near = [base + random.randrange(0, 3 * WEEK) for _ in range(40)]
    far = [base + random.randrange(-20 * 365 * DAY, 10 * 365 * DAY) for _ in range(40)]

    for now in random.sample([*near, *far], 80):
        assert one.holds(now) is shows(*window, zone, now)
        assert one.next_flip(now) == WeekWindow(*window, zone).next_flip(now)


@pytest.mark.parametrize("window", [w for w in WINDOWS if w != (EVERY_DAY, 0, 1440)], ids=str)
def test_flip_after_flip_for_years(window):
    """Past whatever was found at once: each flip leads to the next, and none is left out."""
    one = WeekWindow(*window, "Europe/Berlin")
    now = millis(datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
    shown = one.holds(now)
    for _ in range(300):
        following = one.next_flip(now)

        assert following > now
        assert one.holds(following - 1) is shown
        assert one.holds(following) is not shown
        assert shows(*window, "Europe/Berlin", following) is not shown
        now, shown = following, not shown


def test_flips_follow_each_other_without_being_tested_in_between():
    one = WeekWindow(EVERY_DAY, 540, 1020, "UTC")
    now = first = millis(datetime(2026, 11, 22, tzinfo=UTC))
    for day in range(200):
        now = one.next_flip(now)
        assert now == first + day * DAY + 540 * MINUTE
        now = one.next_flip(now)
        assert now == first + day * DAY + 1020 * MINUTE


@pytest.mark.parametrize("now", [-1, 0, 1])
def test_the_first_instants_of_all_are_like_any_other(now):
    assert WeekWindow(EVERY_DAY, 0, 1440, "UTC").holds(now)
    assert WeekWindow(EVERY_DAY, 0, 720, "UTC").holds(now) is (now >= 0)
    assert WeekWindow(EVERY_DAY, 0, 720, "UTC").next_flip(now) == (720 * MINUTE if now >= 0 else 0)


def test_a_window_without_an_end_never_flips():
    always = WeekWindow(EVERY_DAY, 0, 1440, "Europe/Berlin")

    for day in range(0, 4000, 100):
        assert always.holds(millis(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)))
        assert always.next_flip(day * DAY) is None


@pytest.mark.parametrize(
    "window", [(EVERY_DAY, 0, 1439), (EVERY_DAY, 1, 1440), (EVERY_DAY[:6], 0, 1440)], ids=str
)
def test_a_window_with_any_gap_flips(window):
    now = millis(datetime(2026, 11, 22, 12, tzinfo=UTC))

    assert WeekWindow(*window, "UTC").next_flip(now) is not None


@pytest.mark.parametrize(
    "zone",
    [
        "Nowhere/Land",
        "",
        "../UTC",
        "/UTC",
        "Europe",
        "Europe/",
        "Europe/Berlin ",
        "zone.tab",
        "UTC\n",
        "Ünder/Zug",
    ],
)
def test_names_that_are_no_zones_are_refused(zone):
    with pytest.raises(UnknownZoneError, match=r".*"):
        WeekWindow(EVERY_DAY, 0, 60, zone)


def test_the_wall_clock_of_a_zone_is_that_of_the_instant():
    noon = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp() * 1000)

    assert wall_clock(noon, "Europe/Berlin").isoformat() == "2026-07-01T14:00:00+02:00"
    assert wall_clock(noon + 1, "UTC").isoformat() == "2026-07-01T12:00:00.001000+00:00"
