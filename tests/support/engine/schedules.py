"""A schedule under test: created as people do, and a relay's scheduler that polls when told to."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Schedule, Work
from outbox.maintenance import scheduler
from outbox.maintenance.scheduler import Scheduler
from outbox.operations import schedules
from outbox.operations.schedules import ScheduleRecord, TickRecord
from outbox.postgres.session_settings import connect_async

NAME = "test.hourly"
HOUR = timedelta(hours=1)


def hourly() -> str:
    """A cron expression of one tick an hour, the next of them in half an hour."""
    return f"{(datetime.now(UTC).minute + 30) % 60} * * * *"


class Timetable:
    """One schedule, hourly unless told otherwise."""

    def __init__(self, engine: Engine, sql: psycopg.Connection[Any], database_url: str) -> None:
        self._engine = engine
        self._sql = sql
        self._url = database_url

    def create(self, work: Work[Any], cron: str | None = None, **options: Any) -> None:
        """Create it; nothing is due yet."""
        with Session(self._engine) as session, session.begin():
            schedules.create(session, Schedule(NAME, cron or hourly(), work, **options), by="ann")

    def go_back(self, ticks: int) -> datetime:
        """As if the schedule were that many hours older, and no relay had run since.

        Returns the tick that is due first; the last one was due half an hour ago.
        """
        move = """
        UPDATE duly.schedules SET next_due_at = next_due_at - %s * interval '1 hour'
        WHERE name = %s RETURNING next_due_at
        """
        row = self._sql.execute(move, [ticks, NAME]).fetchone()
        assert row
        first: datetime = row[0]
        return first

    def poll(self, relays: int = 1) -> None:
        """Have so many relays look at once, until nothing more is due."""
        asyncio.run(self._poll(relays))

    async def _poll(self, relays: int) -> None:
        await asyncio.gather(*(self._until_idle() for _ in range(relays)))

    async def _until_idle(self) -> None:
        async with await connect_async(self._url) as database:
            database.row_factory = namedtuple_row
            relay = Scheduler(self._url, [], lambda: None)
            while not await relay.poll(database):
                pass

    def declare(self, *declared: Schedule) -> None:
        """What a relay does when it starts."""
        declare(self._url, declared)

    def ticks(self) -> list[TickRecord]:
        """What is on record, the earliest first."""
        with Session(self._engine) as session:
            return schedules.ticks(session, NAME, limit=5_000)[::-1]

    def schedule(self) -> ScheduleRecord:
        """As it is now."""
        with Session(self._engine) as session:
            return schedules.get(session, NAME)

    def outcomes(self) -> list[str]:
        """Of each tick, the earliest first."""
        return [tick.outcome for tick in self.ticks()]

    def jobs(self) -> int:
        """How many jobs there are, each with its outbox event."""
        row = self._sql.execute(
            "SELECT count(*), count(event.job_id) FROM duly.jobs AS job"
            " LEFT JOIN duly.outbox_events AS event ON event.job_id = job.id"
        ).fetchone()
        assert row
        assert row[0] == row[1]
        return int(row[0])


def declare(database_url: str, declared: Sequence[Schedule]) -> None:
    """What a relay does when it starts."""
    asyncio.run(_declare(database_url, declared))


async def _declare(database_url: str, declared: Sequence[Schedule]) -> None:
    async with await connect_async(database_url) as database:
        database.row_factory = namedtuple_row
        await scheduler.declare(database, declared)
