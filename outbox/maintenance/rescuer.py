"""Returns the jobs of dead workers to the queue."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox.events import Cancelled, Died, JobEvent, Rescued, emit
from outbox.maintenance.failure_detector import FailureDetector
from outbox.postgres.refused_records import first_line, is_about_one
from outbox.postgres.session_settings import connect_async
from outbox.store import sequences, transitions

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
ORPHANS = """
SELECT job.id
FROM duly.jobs AS job
LEFT JOIN duly.workers AS worker
       ON worker.name = job.worker AND worker.name <> ALL (%(silent)s::text[])
WHERE job.state = 'running' AND worker.name IS NULL
LIMIT 1000
"""
"""The jobs that RESCUE would take."""


class Rescuer:
    """Finds running jobs whose worker has sent no heartbeat for `silence`.

    A live worker's long job is never taken: only silence counts, not a job's age, and only silence
    that this rescuer has observed itself. Any number of rescuers may run at once: each skips what
    another has locked.
    """

    def __init__(
        self, database_url: str, silence: timedelta, on_rescue: Callable[[], None]
    ) -> None:
        self._database_url = database_url
        self._silence = silence
        self._on_rescue = on_rescue
        self._reported: set[UUID] = set()

    async def run(self) -> None:
        """Rescue for ever, after a first `silence`. Raises psycopg's errors; call it again then."""
        async with await connect_async(self._database_url) as database:
            await sequences.advance_async(database)
            # New for each run: Postgres may have been away, which silenced all workers.
            detector = FailureDetector(self._silence, POLL_SECONDS)
            while True:
                heartbeats = await database.execute(transitions.READ_HEARTBEATS, binary=True)
                detector.look({name: beat async for name, beat in heartbeats})
                if detector.is_ready_to_judge:
                    await self._rescue(database, detector.silent)
                    await database.execute(transitions.PRUNE_WORKERS, {"silent": detector.silent})
                await asyncio.sleep(POLL_SECONDS)

    async def _rescue(self, database: AsyncConnection[Any], silent: list[str]) -> None:
        try:
            rescued = await self._take(database, silent)
        except psycopg.Error as error:
            if not is_about_one(error):
                raise
            rescued = await self._take_one_by_one(database, silent)
        for row in rescued:
            emit(_event(*row))
        if rescued:
            self._on_rescue()

    async def _take(
        self, database: AsyncConnection[Any], silent: list[str], only: list[UUID] | None = None
    ) -> list[Any]:
        asked = {"silent": silent, "only": only}
        return await (await database.execute(transitions.RESCUE, asked)).fetchall()

    async def _take_one_by_one(
        self, database: AsyncConnection[Any], silent: list[str]
    ) -> list[Any]:
        """Skip a job that the tables refuse; the next poll tries it again."""
        await sequences.advance_async(database)
        orphans = await (await database.execute(ORPHANS, {"silent": silent})).fetchall()
        rescued: list[Any] = []
        for (job,) in orphans:
            try:
                rescued += await self._take(database, silent, [job])
            except psycopg.Error as error:
                if not is_about_one(error):
                    raise
                self._report_once(job, error)
        return rescued

    def _report_once(self, job: UUID, error: psycopg.Error) -> None:
        if job not in self._reported:
            self._reported.add(job)
            log.error("job cannot be rescued", job=str(job), why=first_line(error))


def _event(
    job_id: UUID, kind: str, queue: str, worker: str, attempt: int, state: str, error: str
) -> JobEvent:
    """What RESCUE has made of a job."""
    if state == "cancelled":
        return Cancelled(job_id=job_id, kind=kind)
    about: Any = {"job_id": job_id, "kind": kind, "queue": queue}
    if state == "queued":
        return Rescued(**about, worker=worker, attempt=attempt)
    about |= {"error_type": "WorkerGone", "error": error}
    return Died(**about, reason="crashed", worker=worker, attempt=attempt)
