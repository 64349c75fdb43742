"""Relays killed as they make the ticks of a schedule: each tick still has one job."""

import psycopg
import pytest
from sqlalchemy import Engine

from outbox import Missed, Overlap
from tests.faults import moments
from tests.faults.actors import BOOK
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.support.engine.schedules import HOUR, Timetable
from tests.support.wait import wait_for

WORK = BOOK(mark="tick")
TICKS = 6
STANDING = """
SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%duly.ticks%'
"""


@pytest.fixture
def timetable(engine: Engine, sql_now: psycopg.Connection, database_url: str) -> Timetable:
    """A schedule to be created."""
    return Timetable(engine, sql_now, database_url)


@points(moments.SCHEDULER)
def test_as_it_makes_ticks(
    moment: Moment, line: Line, timetable: Timetable, promises: Promises
) -> None:
    """The two oldest are too late, and the others wait for each other."""
    late = (TICKS - 2) * HOUR
    timetable.create(WORK, missed=Missed.RUN_ALL, overlap=Overlap.QUEUE, catch_up=late)
    first = timetable.go_back(TICKS)
    line.start("worker")
    assert has_crashed(line.start_doomed(moment, "relay"))
    line.start("relay", "relay")
    wait_for("all ticks", lambda: len(timetable.ticks()) == TICKS)
    wait_for("none waits", lambda: "waiting" not in timetable.outcomes())
    wait_for("nothing moves", lambda: not any(promises.left().values()))
    assert [tick.due_at for tick in timetable.ticks()] == [first + n * HOUR for n in range(TICKS)]
    assert timetable.outcomes() == ["skipped"] * 2 + ["made"] * (TICKS - 2)
    assert promises.booked() == TICKS - 2
    assert promises.rows("SELECT count(*) FROM duly.jobs") == [TICKS - 2]


@pytest.mark.slow
def test_in_the_middle_of_a_tick(
    line: Line, timetable: Timetable, promises: Promises, sql_now: psycopg.Connection
) -> None:
    """Whether Postgres still makes it or not."""
    timetable.create(WORK, missed=Missed.RUN_ALL, overlap=Overlap.ALLOW, catch_up=TICKS * HOUR)
    timetable.go_back(TICKS)
    with sql_now.transaction():
        sql_now.execute("LOCK TABLE duly.ticks IN SHARE MODE")
        relays = line.start("relay", "relay")
        wait_for("both wait", lambda: len(promises.rows(STANDING)) == 2)
        for relay in relays:
            relay.kill()
    line.start("relay", "worker")
    wait_for("all ticks", lambda: timetable.outcomes() == ["made"] * TICKS)
    wait_for("nothing moves", lambda: not any(promises.left().values()))
    assert promises.booked() == TICKS
