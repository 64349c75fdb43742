"""When ticks are due, compared with a reference that follows Debian's cron minute by minute."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, takewhile
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from outbox.schedules.cron import Cron

MINUTE, QUARTER = timedelta(minutes=1), timedelta(minutes=15)
YEAR_BEGINS, YEAR_ENDS = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Atlantic/Azores"),
    "Australia/Lord_Howe",  # half an hour
    "America/Santiago",  # clocks change at midnight
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",  # back and forth around Ramadan
)
CRONS = (
    *("30 2 * * *", "0 0 * * *", "15,45 1-3 * * *", "0 3 * * 1-5", "30 23 28-31 * *"),
    *("*/7 * * * *", "* 2 * * *", "0 * * * *", "30 */5 * * *", "*/20 0 * * 0"),
)


def fields_of(cron: str) -> list[set[int]]:
    """The numbers that each field stands for, of the syntax that `CRONS` use."""
    ranges = (range(60), range(24), range(1, 32), range(1, 13), range(7))
    return [_numbers(part, full) for part, full in zip(cron.split(), ranges, strict=True)]


def _numbers(part: str, full: range) -> set[int]:
    found: set[int] = set()
    for term in part.split(","):
        span, _, step = term.partition("/")
        low, _, high = span.partition("-")
        chosen = full if span == "*" else range(int(low), int(high or low) + 1)
        found |= set(chosen[:: int(step or 1)])
    return found


@dataclass(frozen=True, slots=True)
class Quarter:
    """Fifteen minutes of a zone's local time: clocks change at the end of one, never inside."""

    local: datetime
    begins: datetime
    """When. Of minutes that clocks skip: when they have skipped them."""
    comes: Literal["once", "never", "again"]


@cache
def year_of(zone: str) -> list[Quarter]:
    """The zone's year, with the quarters that clocks skip and those that come again."""
    found, begins = [], YEAR_BEGINS
    newest = begins.astimezone(ZoneInfo(zone)).replace(tzinfo=None) - QUARTER
    while begins < YEAR_ENDS:
        local = begins.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        while newest + QUARTER < local:
            newest += QUARTER
            found.append(Quarter(newest, begins, "never"))
        found.append(Quarter(local, begins, "again" if local <= newest else "once"))
        newest = max(newest, local)
        begins += QUARTER
    return found


def reference(cron: str, zone: str) -> list[datetime]:
    """The year's ticks, as Debian's cron finds them by looking at each minute."""
    minutes, hours, days, months, weekdays = fields_of(cron)
    follows_real_time = cron.startswith("*") or cron.split()[1].startswith("*")
    ticks: dict[datetime, None] = {}
    for quarter in year_of(zone):
        local = quarter.local
        if quarter.comes == ("never" if follows_real_time else "again"):
            continue
        if local.hour in hours and local.day in days and local.month in months:
            if local.isoweekday() % 7 not in weekdays:
                continue
            for minute in minutes & set(range(local.minute, local.minute + 15)):
                real = 0 if quarter.comes == "never" else minute - local.minute
                ticks[quarter.begins + real * MINUTE] = None
    return sorted(ticks)


FIFTY = Random(7).sample([(cron, zone) for cron in CRONS for zone in ZONES], 50)


@pytest.mark.parametrize("zone", ZONES)
def test_a_years_ticks_of_fifty_schedules_are_those_of_debians_cron(zone: str) -> None:
    for cron in [each for each, of in FIFTY if of == zone]:
        after = Cron(cron, zone).after(YEAR_BEGINS - MINUTE)
        assert list(takewhile(lambda tick: tick < YEAR_ENDS, after)) == reference(cron, zone), cron


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "*/20 * * * *", "0 0 * * *"])
def test_what_comes_after_a_moment_is_the_same_wherever_one_begins(cron: str, zone: str) -> None:
    all_ticks = list(islice(Cron(cron, zone).after(YEAR_BEGINS), 8_000))
    for change in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 4, 4, 12, tzinfo=UTC)):
        for minutes in range(0, 36 * 60, 23):
            moment = change + minutes * MINUTE
            expected = next(tick for tick in all_ticks if tick > moment)
            assert next(Cron(cron, zone).after(moment)) == expected


BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("cron", "day", "hours"),
    [
        ("30 2 * * *", "2026-03-29", ["03:00+02:00"]),
        ("0,30 2 * * *", "2026-03-29", ["03:00+02:00"]),
        ("30 2 * * *", "2026-10-25", ["02:30+02:00"]),
        ("30 30 2 * * *", "2026-03-29", ["03:00+02:00"]),
        ("30 30 2 * * *", "2026-10-25", ["02:30+02:00"]),
        ("0 */2 * * *", "2026-03-29", ["00:00+01:00", "04:00+02:00", "06:00+02:00"]),
        ("30 */2 * * *", "2026-10-25", ["00:30+02:00", "02:30+02:00", "02:30+01:00"]),
    ],
)
def test_the_nights_in_which_clocks_change(cron: str, day: str, hours: list[str]) -> None:
    before = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=ZoneInfo(BERLIN))
    ticks = [
        tick.astimezone(ZoneInfo(BERLIN))
        for tick in islice(Cron(cron, BERLIN).after(before - timedelta(seconds=1)), len(hours))
    ]
    shown = [tick.isoformat(timespec="minutes") for tick in ticks]
    assert shown == [f"{day}T{hour}" for hour in hours]


def test_seconds_come_first_of_six_fields() -> None:
    ticks = list(islice(Cron("*/30 * * * * *").after(YEAR_BEGINS), 3))
    assert [(tick.minute, tick.second) for tick in ticks] == [(0, 30), (1, 0), (1, 30)]


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("0 0 30 2 *", "cron: bad day-of-month in '0 0 30 2 \\*'"),
        ("0 0 31 4,6 *", "bad day-of-month"),
        ("61 * * * *", "bad minute"),
        ("x * * * *", "bad minute"),
        ("* * * * BAD", "bad day-of-week"),
        ("* * * *", "five fields"),
        ("* * * * * * *", "five fields"),
        ("", "five fields"),
        ("0" * 300 + " * * * *", "200 characters"),
        ("\0 * * * *", "bad minute"),
    ],
)
def test_what_is_no_cron_expression_is_refused_with_the_reason(cron: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Cron(cron)


@pytest.mark.parametrize("zone", ["Mars/Phobos", "", "Europe", "../etc/passwd", "a\0b", "x" * 300])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="is no time zone such as Europe/Berlin"):
        Cron("0 2 * * *", zone)


def test_a_leap_day_is_due_every_four_years() -> None:
    ticks = islice(Cron("0 0 29 2 *").after(YEAR_BEGINS), 2)
    assert [tick.year for tick in ticks] == [2028, 2032]


@pytest.mark.parametrize(
    ("cron", "smallest"),
    [
        ("0 2 * * *", timedelta(days=1)),
        ("*/7 * * * *", timedelta(minutes=4)),
        ("* * * * * *", timedelta(seconds=1)),
        ("0 0 29 2 *", timedelta(days=1461)),
        ("0 0,1 1 1 *", timedelta(hours=1)),
    ],
)
def test_the_smallest_interval(cron: str, smallest: timedelta) -> None:
    assert Cron(cron).smallest_interval() == smallest
