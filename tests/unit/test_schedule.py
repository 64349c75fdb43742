"""What a schedule may say, and what becomes of ticks that are late."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from outbox import Actors, Duly, Kind, Kinds, Missed, Schedule
from outbox.schedules.cron import Cron
from outbox.schedules.missed import MOST_AT_ONCE, held_back, next_step


class Empty(BaseModel):
    text: str = ""


KIND = Kind("test.tick", Empty)
WORK = KIND()
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HOURLY = Cron("0 * * * *")
DUE = datetime(2026, 1, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", ".x", "x" * 201, "a\n", "a\0"])
def test_a_name_fits_into_an_address(name: str) -> None:
    with pytest.raises(ValueError, match=r"^name: "):
        Schedule(name, "0 2 * * *", WORK)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"zone": "Mars"}, "zone: 'Mars' is no time zone"),
        ({"cron": "0 0 30 2 *"}, "cron: bad day-of-month"),
        ({"overlap": "often"}, "'often' is not a valid Overlap"),
        ({"missed": "often"}, "'often' is not a valid Missed"),
        ({"catch_up": timedelta(seconds=59)}, "catch_up: must be one minute to 366 days"),
        ({"catch_up": timedelta(days=367)}, "catch_up: must be one minute to 366 days"),
        ({"jitter": timedelta(seconds=-1)}, "jitter: must not be negative"),
        ({"jitter": timedelta(days=1)}, "jitter: must be less than 1 day"),
        ({"work": KIND(text="\0")}, "a payload may not contain NUL"),
        ({"subject": "\0"}, "subject and by may not contain NUL"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(wrong: dict[str, Any], why: str) -> None:
    fields: dict[str, Any] = {"name": "x", "cron": "0 2 * * *", "work": WORK} | wrong
    with pytest.raises(ValueError, match=why):
        Schedule(**fields)


def test_an_apps_schedules_have_names_of_their_own_and_kinds_of_the_app() -> None:
    one = Schedule("x", "0 2 * * *", WORK)
    assert [*Duly(Kinds(KIND), Actors([]), schedules=[one]).schedules] == [one]
    with pytest.raises(ValueError, match="two schedules have the same name"):
        Duly(Kinds(KIND), Actors([]), schedules=[one, one])
    with pytest.raises(ValueError, match=r"schedule x: test\.tick is no kind of this app"):
        Duly(Kinds(), Actors([]), schedules=[one])


def step(late: timedelta, missed: Missed, catch_up: timedelta = HOUR) -> tuple[int, bool, float]:
    """How many ticks the step is about, whether it makes a job, and the hours to the next tick."""
    found = next_step(HOURLY, DUE, DUE + late, missed, catch_up)
    assert found.next_due_at
    assert list(found.due_at) == [DUE + n * HOUR for n in range(len(found.due_at))]
    return len(found.due_at), found.why is None, (found.next_due_at - DUE) / HOUR


@pytest.mark.parametrize("missed", Missed)
def test_a_tick_is_made_up_to_a_minute_late(missed: Missed) -> None:
    assert step(timedelta(), missed) == (1, True, 1)
    assert step(MINUTE, missed) == (1, True, 1)


def test_none_that_was_missed_is_made() -> None:
    late = timedelta(minutes=1, seconds=1)
    assert step(late, Missed.SKIP) == (1, False, 1)
    assert step(3 * HOUR + late, Missed.SKIP) == (4, False, 4)
    assert step(3 * HOUR, Missed.SKIP) == (3, False, 3)


def test_only_the_newest_that_was_missed_is_made() -> None:
    assert step(HOUR / 2, Missed.RUN_ONCE) == (1, True, 1)
    assert step(3.5 * HOUR, Missed.RUN_ONCE, 9 * HOUR) == (3, False, 3)
    assert step(3 * HOUR, Missed.RUN_ONCE, 9 * HOUR) == (3, False, 3)


def test_each_that_was_missed_is_made() -> None:
    assert step(3.5 * HOUR, Missed.RUN_ALL, 9 * HOUR) == (1, True, 1)


@pytest.mark.parametrize("missed", [Missed.RUN_ALL, Missed.RUN_ONCE])
def test_none_is_made_that_is_later_than_the_catch_up_window(missed: Missed) -> None:
    found = next_step(HOURLY, DUE, DUE + 5.5 * HOUR, missed, 2 * HOUR)
    assert (len(found.due_at), found.next_due_at) == (4, DUE + 4 * HOUR)
    assert found.why == "missed: no relay made it within the catch-up window of 2:00:00"
    assert next_step(HOURLY, DUE, DUE + 2 * HOUR, Missed.RUN_ALL, 2 * HOUR).why is None


def test_many_are_skipped_a_thousand_at_a_time() -> None:
    assert step(9000 * HOUR, Missed.SKIP) == (MOST_AT_ONCE, False, MOST_AT_ONCE)


def test_jitter_follows_from_name_and_tick() -> None:
    held = {held_back("a", DUE + n * HOUR, MINUTE) for n in range(100)}
    assert len(held) == 100
    assert timedelta() <= min(held) < MINUTE / 4
    assert MINUTE * 3 / 4 < max(held) < MINUTE
    assert held_back("a", DUE, MINUTE) == held_back("a", DUE.astimezone(), MINUTE)
    assert held_back("a", DUE, MINUTE) != held_back("b", DUE, MINUTE)
    assert held_back("a", DUE, timedelta()) == timedelta()
