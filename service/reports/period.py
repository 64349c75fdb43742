"""The days that a report is about, as they are counted in a time zone."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
MOST_DAYS = 366
EARLIEST, LATEST = date(2000, 1, 1), date(2999, 12, 31)
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
"""English, whatever the locale of the process."""


def check_zone(name: str) -> str:
    """Return the name of a time zone. Raises ValueError if this machine does not know it."""
    with suppress(ValueError, KeyError, OSError):  # OSError: a folder of zones
        if not name.startswith("right/"):  # with leap seconds, which Postgres does not take
            return ZoneInfo(name).key
    raise ValueError("must be a time zone such as Europe/Berlin")


@dataclass(frozen=True, slots=True)
class Period:
    """From the beginning of `first_day` to the end of `last_day`, local time in `zone`.

    Raises ValueError if it ends before it begins, or has more than `MOST_DAYS`.
    """

    first_day: date
    last_day: date
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.last_day < self.first_day:
            raise ValueError("last_day must not be before first_day")
        if self.last_day - self.first_day >= MOST_DAYS * DAY:
            raise ValueError(f"a report is about {MOST_DAYS} days at most")

    @classmethod
    def month(cls, year: int, month: int, zone: str = "UTC") -> "Period":
        """A whole month."""
        first = date(year, month, 1)
        return cls(first, (first + 31 * DAY).replace(day=1) - DAY, zone)

    @classmethod
    def month_before(cls, moment: datetime, zone: str) -> "Period":
        """The last month that has ended at that moment."""
        last = moment.astimezone(ZoneInfo(zone)).date().replace(day=1) - DAY
        return cls.month(last.year, last.month, zone)

    @property
    def days(self) -> list[date]:
        """Each of its days, in order."""
        return [self.first_day + n * DAY for n in range((self.last_day - self.first_day).days + 1)]

    @property
    def subject(self) -> str:
        """The subject of the jobs that build reports of it."""
        return f"report:{self.first_day}/{self.last_day}"

    def __str__(self) -> str:
        first, last = self.first_day, self.last_day
        if self == Period.month(first.year, first.month, self.zone):
            return f"{MONTHS[first.month - 1]} {first.year}"
        if (first, last) == (date(first.year, 1, 1), date(first.year, 12, 31)):
            return f"{first.year}"
        if first == last:
            return written(first)
        return f"{written(first)} to {written(last)}"


def written(day: date) -> str:
    """The day in words: 1 November 2026."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
