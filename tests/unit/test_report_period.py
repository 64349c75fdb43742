"""The days that a report is about."""

from datetime import UTC, date, datetime

import pytest

from outbox.schedules.cron import Cron
from service.reports.period import Period
from service.reports.schedule import MONTHLY


@pytest.mark.parametrize(
    ("moment", "zone", "month"),
    [
        (datetime(2026, 12, 1, 5, tzinfo=UTC), "Europe/Berlin", "November 2026"),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "Europe/Berlin", "December 2026"),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "UTC", "November 2026"),
        (datetime(2027, 1, 1, 3, tzinfo=UTC), "America/New_York", "November 2026"),
        (datetime(2028, 3, 1, tzinfo=UTC), "UTC", "February 2028"),
    ],
)
def test_the_month_before_is_the_last_that_has_ended_there(
    moment: datetime, zone: str, month: str
) -> None:
    assert str(Period.month_before(moment, zone)) == month


@pytest.mark.parametrize(
    ("first_day", "last_day", "said"),
    [
        (date(2024, 2, 1), date(2024, 2, 29), "February 2024"),
        (date(2026, 1, 1), date(2026, 12, 31), "2026"),
        (date(2026, 11, 2), date(2026, 11, 2), "2 November 2026"),
        (date(2026, 11, 2), date(2027, 1, 1), "2 November 2026 to 1 January 2027"),
    ],
)
def test_a_period_is_said_in_words(first_day: date, last_day: date, said: str) -> None:
    assert str(Period(first_day, last_day)) == said


def test_the_schedule_is_due_on_the_first_of_each_month_at_six() -> None:
    ticks = Cron(MONTHLY.cron, "Europe/Berlin").after(datetime(2026, 10, 15, tzinfo=UTC))
    assert [next(ticks), next(ticks)] == [
        datetime(2026, 11, 1, 5, tzinfo=UTC),
        datetime(2026, 12, 1, 5, tzinfo=UTC),
    ]
