"""Postgres's clock is stepped while two relays make the ticks of a schedule."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise

import psycopg
import pytest
from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.orm import Session

from outbox import Missed, Overlap, Schedule
from outbox.maintenance.scheduler import Scheduler
from outbox.operations import schedules
from outbox.postgres.address import sqlalchemy_url
from tests.faults.test_clock_stepped import postgres as postgres
from tests.support.engine.line import note_kind, run_aside
from tests.support.engine.schedules import NAME, Timetable
from tests.support.servers.stepped_clock import SteppedPostgres
from tests.support.wait import wait_for

pytestmark = pytest.mark.slow

EVERY_TEN_SECONDS = Schedule(
    NAME,
    "*/10 * * * * *",
    note_kind("q")(),
    overlap=Overlap.ALLOW,
    missed=Missed.RUN_ALL,
    catch_up=timedelta(hours=3),
)
AHEAD = 90 * 60
LEFT = "SELECT extract(epoch FROM next_due_at - now()) FROM duly.schedules"


@pytest.fixture
def engine(postgres: SteppedPostgres) -> Iterator[Engine]:
    """SQLAlchemy on the server whose clock is stepped."""
    engine = create_engine(sqlalchemy_url(postgres.url("postgres")), poolclass=NullPool)
    yield engine
    engine.dispose()


def test_no_step_of_the_clock_makes_a_second_job_of_a_tick(
    postgres: SteppedPostgres, engine: Engine
) -> None:
    """Two seconds back right after a tick, ninety minutes ahead, and back; then an edit."""
    url = postgres.url("postgres")
    with ExitStack() as exits, psycopg.connect(url, autocommit=True) as sql:
        timetable = Timetable(engine, sql, url)
        with Session(engine) as session, session.begin():
            schedules.create(session, EVERY_TEN_SECONDS, by="ann")
        for _ in range(2):
            exits.callback(run_aside(Scheduler(url, [], lambda: None).run))

        wait_for("a tick", timetable.ticks)
        postgres.step(-2)
        wait_for("the next ones", lambda: len(timetable.ticks()) >= 3)
        postgres.step(AHEAD)
        wait_for("those of ninety minutes", lambda: len(timetable.ticks()) > AHEAD / 10)
        wait_for("no more", lambda: _seconds_left(sql) > 0)
        postgres.step(0)
        wait_for("the clock is back", lambda: _seconds_left(sql) > AHEAD / 2)

        before = timetable.jobs()
        _edit_to_be_due_again(engine, sql)
        moved = "SELECT next_due_at > now() FROM duly.schedules"
        wait_for("they pass again", lambda: all(sql.execute(moved).fetchone() or [False]))
        assert timetable.jobs() == before
        due = [tick.due_at for tick in timetable.ticks()]
    assert {later - earlier for earlier, later in pairwise(due)} == {timedelta(seconds=10)}
    assert len(due) == before


def _seconds_left(sql: "psycopg.Connection[object]") -> float:
    row = sql.execute(LEFT).fetchone()
    assert row
    return float(row[0])  # type: ignore[index]


def _edit_to_be_due_again(engine: Engine, sql: "psycopg.Connection[object]") -> None:
    """As an edit by a clock that is behind: ticks that are on record come again."""
    with Session(engine) as session, session.begin():
        schedules.edit(session, EVERY_TEN_SECONDS, 1, by="ann")
    sql.execute("UPDATE duly.schedules SET next_due_at = (SELECT min(due_at) FROM duly.ticks)")
