"""Gives the jobs of workers that died back to the queue."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from psycopg import AsyncConnection

from outbox import steps
from outbox.database import conninfo

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0


class Rescuer:
    """Looks for running jobs whose worker has sent no heartbeat for `silence`.

    A live worker's long job is never taken: only silence counts, not a job's age. Any number of
    rescuers may look at once, each takes what no other has locked.
    """

    def __init__(
        self, database_url: str, silence: timedelta, on_rescue: Callable[[], None]
    ) -> None:
        self._database_url = database_url
        self._silence = silence
        self._on_rescue = on_rescue

    async def run(self) -> None:
        """Rescue for ever, after a first silence. Raises psycopg's errors; call it again then."""
        async with await AsyncConnection.connect(
            conninfo(self._database_url), autocommit=True
        ) as database:
            await self._let_workers_speak()
            while True:
                if await _stood_still(database):
                    await self._let_workers_speak()
                await self._rescue(database)
                await database.execute(steps.FORGET_WORKERS)
                await asyncio.sleep(LOOK_SECONDS)

    async def _let_workers_speak(self) -> None:
        """Perhaps Postgres was away, and all workers were silent for want of it."""
        await asyncio.sleep(self._silence.total_seconds())

    async def _rescue(self, database: "AsyncConnection[tuple[object, ...]]") -> None:
        silence = {"silence_seconds": self._silence.total_seconds()}
        rescued = await (await database.execute(steps.RESCUE, silence)).fetchall()
        for job_id, kind, worker, state in rescued:
            log.warning("job rescued", job=str(job_id), kind=kind, worker=worker, state=state)
        if rescued:
            self._on_rescue()


async def _stood_still(database: "AsyncConnection[tuple[object, ...]]") -> bool:
    """Whether Postgres took so long to answer that no heartbeat was heard meanwhile."""
    asked = time.monotonic()
    await database.execute("SELECT")
    return time.monotonic() - asked > LOOK_SECONDS
