"""Each tick of a schedule makes exactly one job, or is listed with why it made none."""

import psycopg
import pytest
from sqlalchemy import Engine

from outbox import Actor, Missed, Overlap
from outbox.maintenance.scheduler import Scheduler
from tests.support.engine.line import Line, do_nothing, note_kind, run_aside
from tests.support.engine.schedules import HOUR, NAME, Timetable
from tests.support.wait import wait_for

NOTE = note_kind("q")


@pytest.fixture
def timetable(engine: Engine, sql_now: psycopg.Connection, database_url: str) -> Timetable:
    """A schedule to be created."""
    return Timetable(engine, sql_now, database_url)


def test_a_tick_makes_a_job_that_runs(
    line: Line, timetable: Timetable, database_url: str, queue: str
) -> None:
    kind = note_kind(queue)
    line.start_worker(Actor(kind, do_nothing))
    timetable.create(kind(text="tick"), "* * * * * *")
    line.start_relay(queue)
    stop = run_aside(Scheduler(database_url, [], lambda: None).run)
    try:
        tick = wait_for("a tick", lambda: next(iter(timetable.ticks()), None))
    finally:
        stop()
    assert tick.job_id
    job = line.wait_for(tick.job_id, "succeeded")
    assert (job.kind, job.subject, job.submitted_by) == (
        kind.name,
        f"schedule:{NAME}",
        f"schedule:{NAME}",
    )
    assert job.payload["text"] == "tick"


def test_any_number_of_relays_make_one_job_for_each_tick(timetable: Timetable) -> None:
    timetable.create(NOTE(), missed=Missed.RUN_ALL, overlap=Overlap.ALLOW, catch_up=48 * HOUR)
    first = timetable.go_back(24)
    timetable.poll(relays=4)
    assert [tick.due_at for tick in timetable.ticks()] == [first + n * HOUR for n in range(24)]
    assert set(timetable.outcomes()) == {"made"}
    assert timetable.jobs() == 24
    timetable.poll(relays=4)
    assert timetable.jobs() == 24
