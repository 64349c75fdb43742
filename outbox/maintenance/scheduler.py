"""Makes the ticks of schedules: one job for each, whichever relays live or die."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row
from uuid_utils.compat import uuid7

from outbox.events import Cancelled, TickMade, TickSkipped, emit
from outbox.postgres.refused_records import first_line, is_about_one
from outbox.postgres.session_settings import connect_async
from outbox.schedules.cron import Cron
from outbox.schedules.missed import Step, held_back, next_step
from outbox.schedules.row import values
from outbox.schedules.schedule import Missed, Schedule
from outbox.store import transitions
from outbox.tracing.tracer import Creation, installed

log = structlog.get_logger(__name__)

LONGEST_SLEEP_SECONDS = 1.0
"""How late an edit, or the end of a job that a tick waits for, may be noticed."""


class Scheduler:
    """Declares the app's schedules once, then records each tick when it is due.

    What was due before is made first, as it was declared then.

    Any number of schedulers may run at once: a tick's statement takes effect for one of them. Only
    Postgres's clock says what is due. If the process dies, a tick is either on record with its job,
    or made by another relay.
    """

    def __init__(
        self, database_url: str, declared: Sequence[Schedule], on_tick: Callable[[], None]
    ) -> None:
        self._database_url = database_url
        self._to_declare: Sequence[Schedule] | None = declared
        self._on_tick = on_tick
        self._reported: dict[str, str] = {}

    async def run(self) -> None:
        """Make ticks for ever. Raises psycopg's errors; call it again then."""
        async with await connect_async(self._database_url) as database:
            database.row_factory = namedtuple_row
            if self._to_declare is not None:
                while not await self.poll(database):
                    pass
                await declare(database, self._to_declare)
                self._to_declare = None
            while True:
                pause = await self.poll(database)
                await asyncio.sleep(pause)

    async def poll(self, database: AsyncConnection[Any]) -> float:
        """Take one step for each schedule that is due; returns in how many seconds the next is."""
        for waiting in await _rows(database, transitions.WAITING_SCHEDULES):
            await self._guarded(waiting.schedule, self._make_waiting(database, waiting.schedule))
        moved, sleep = False, LONGEST_SLEEP_SECONDS
        for row in await _rows(database, transitions.NEXT_TICKS):
            until = (row.next_due_at - row.now).total_seconds()
            if until > 0:
                sleep = min(sleep, until)
                break
            moved |= await self._guarded(row.name, self._take(database, row))
        return 0 if moved else sleep

    async def _guarded(self, name: str, step: Any) -> bool:
        """Take the step; whether it took effect. A schedule that is refused stops no other."""
        try:
            return bool(await step)
        except ValueError as error:
            why = str(error)
        except psycopg.Error as error:
            if not is_about_one(error):
                raise
            why = first_line(error)
        if self._reported.get(name) != why:
            self._reported[name] = why
            log.error("a tick cannot be made", schedule=name, why=why)
        return False

    async def _take(self, database: AsyncConnection[Any], row: Any) -> bool:
        catch_up = timedelta(seconds=row.catch_up_seconds)
        cron = Cron(row.cron, row.zone)
        step = next_step(cron, row.next_due_at, row.now, Missed(row.missed), catch_up)
        if step.why is not None:
            return await self._skip(database, row, step)
        return await self._make(database, row, step)

    async def _skip(self, database: AsyncConnection[Any], row: Any, step: Step) -> bool:
        asked = {"due_at": list(step.due_at), "why": step.why}
        skipped = await _rows(database, transitions.SKIP_TICKS, _fence(row, step) | asked)
        for tick in skipped:
            if tick.due_at is not None:
                emit(TickSkipped(schedule=row.name, due_at=tick.due_at, why=step.why or ""))
        return bool(skipped)

    async def _make(self, database: AsyncConnection[Any], row: Any, step: Step) -> bool:
        (due_at,), job_id = step.due_at, uuid7()
        later = held_back(row.name, due_at, timedelta(seconds=row.jitter_seconds))
        asked = {"due_at": due_at, "job_id": job_id, "held_back_seconds": later.total_seconds()}
        creation = _creation()
        asked["trace"] = creation.context if creation else None
        for tick in await _rows(database, transitions.TICK, _fence(row, step) | asked):
            if tick.outcome == "made":
                self._tell_of_job(row.name, due_at, job_id, tick, creation)
            elif tick.outcome == "skipped":
                emit(TickSkipped(schedule=row.name, due_at=due_at, why=tick.why))
            for job, kind in zip(tick.cancelled, tick.cancelled_kinds, strict=True):
                emit(Cancelled(job_id=job, kind=kind))
            return True
        return False

    async def _make_waiting(self, database: AsyncConnection[Any], name: str) -> bool:
        creation = _creation()
        asked: dict[str, Any] = {"name": name, "job_id": uuid7()}
        asked["trace"] = creation.context if creation else None
        for tick in await _rows(database, transitions.MAKE_WAITING, asked):
            self._tell_of_job(name, tick.due_at, asked["job_id"], tick, creation)
            return True
        return False

    def _tell_of_job(
        self, name: str, due_at: Any, job_id: Any, tick: Any, creation: Creation | None
    ) -> None:
        if creation is not None:
            creation.of_jobs(tick.kind, tick.queue, [str(job_id)])
        emit(
            TickMade(schedule=name, due_at=due_at, job_id=job_id, kind=tick.kind, queue=tick.queue)
        )
        self._on_tick()


async def declare(database: AsyncConnection[Any], schedules: Sequence[Schedule]) -> None:
    """Write what the code declares, and stop what it no longer does. Raises psycopg's errors."""
    names = {"names": [schedule.name for schedule in schedules]}
    async with database.transaction():
        await _rows(database, transitions.LOCK_RETIRED, names)
        retired = await _rows(database, transitions.RETIRE_SCHEDULES, names)
    for (name,) in retired:
        log.info("schedule stopped", schedule=name, why="the code no longer declares it")
    for schedule in schedules:
        ((now,),) = await _rows(database, "SELECT clock_timestamp()")
        row = values(schedule, "code", now)
        if await _rows(database, transitions.DECLARE_SCHEDULE, row):
            log.info("schedule declared", schedule=schedule.name)


def _creation() -> Creation | None:
    """The begun span of a job that a tick may make, if this process traces."""
    return tracer.create() if (tracer := installed()) is not None else None


def _fence(row: Any, step: Step) -> dict[str, Any]:
    return {"name": row.name, "version": row.version, "next_due_at": step.next_due_at}


async def _rows(
    database: AsyncConnection[Any], statement: str, asked: dict[str, Any] | None = None
) -> list[Any]:
    return await (await database.execute(statement, asked)).fetchall()
