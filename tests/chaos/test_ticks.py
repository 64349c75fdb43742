"""The oracle finds each way for a tick to go wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.ticks import PAUSED, Beat, Tick, count, wrong

START = datetime(2026, 3, 1, tzinfo=UTC)
SINCE = START + timedelta(seconds=0.5)
UNTIL = START + timedelta(seconds=6.5)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


FIRST = Tick(at(2), "made", None, "a", "succeeded")
SECOND = Tick(at(4), "skipped", "the last one runs")
THIRD = Tick(at(6), "made", None, "b", "succeeded")
STORED = {"tick-a": 1, "tick-b": 1, "order-1": 1}


def beats(*ticks: Tick) -> list[Beat]:
    """A schedule of every two seconds, from 0.5 s to 6.5 s."""
    return [Beat("beat", 2, SINCE, UNTIL, ticks)]


def test_all_is_well_where_each_tick_has_its_job_or_a_reason() -> None:
    found = beats(FIRST, SECOND, THIRD)
    assert wrong(found, STORED) == []
    assert (count(found, "made"), count(found, "skipped")) == (2, 1)


def test_a_tick_of_the_time_that_is_not_on_record_is_told() -> None:
    (fault,) = wrong(beats(FIRST, THIRD), STORED)
    assert fault == f"beat {at(4)}: not on record"


@pytest.mark.parametrize(
    ("tick", "stored", "why"),
    [
        (replace(FIRST, state="dead"), STORED, "its job is dead"),
        (replace(FIRST, state=None), STORED, "its job is None"),
        (FIRST, {"tick-b": 1}, "its job ran to its end 0 times"),
        (FIRST, STORED | {"tick-a": 2}, "its job ran to its end 2 times"),
        (replace(FIRST, outcome="waiting"), STORED, "waiting, with the job a"),
    ],
)
def test_a_tick_whose_job_has_not_ended_once_is_told(
    tick: Tick, stored: dict[str, int], why: str
) -> None:
    assert wrong(beats(tick, SECOND, THIRD), stored) == [f"beat {at(2)}: {why}"]


@pytest.mark.parametrize(
    ("skipped", "stored"),
    [(replace(SECOND, why=None), STORED), (replace(SECOND, job="c"), STORED | {"tick-c": 1})],
)
def test_a_tick_that_is_skipped_without_why_or_with_a_job_is_told(
    skipped: Tick, stored: dict[str, int]
) -> None:
    found = wrong(beats(FIRST, skipped, THIRD), stored)
    assert found == [f"beat {at(4)}: skipped, without why or with a job"]


def test_a_tick_that_had_to_make_its_job_may_be_skipped_only_in_a_pause() -> None:
    (beat,) = beats(FIRST, SECOND, THIRD)
    (fault,) = wrong([replace(beat, is_each_made=True)], STORED)
    assert fault == f"beat {at(4)}: skipped: the last one runs"
    (paused,) = beats(FIRST, replace(SECOND, why=PAUSED), THIRD)
    assert wrong([replace(paused, is_each_made=True)], STORED) == []


def test_a_tick_between_the_ticks_is_told() -> None:
    odd = Tick(at(5), "skipped", "why not")
    found = wrong(beats(FIRST, SECOND, THIRD, odd), STORED)
    assert found == [f"beat {at(5)}: no tick of this schedule"]


def test_a_job_of_no_tick_or_of_two_is_told() -> None:
    stray = wrong(beats(FIRST, SECOND, THIRD), STORED | {"tick-c": 1})
    assert stray == ["tick-c is of no tick"]
    twice = wrong(beats(FIRST, SECOND, replace(THIRD, job="a")), {"tick-a": 1})
    assert twice == ["a is of two ticks"]


def test_a_schedule_that_never_was_is_told() -> None:
    assert wrong([Beat("beat", 2, None, None, [])], {}) == ["beat was not declared, or not paused"]
