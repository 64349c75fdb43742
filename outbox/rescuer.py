"""Gives the jobs of workers that died back to the queue."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from psycopg import AsyncConnection

from outbox import steps
from outbox.database import conninfo
from outbox.vigil import Vigil

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0


class Rescuer:
    """Looks for running jobs whose worker has sent no heartbeat for `silence`.

    A live worker's long job is never taken: only silence counts, not a job's age, and only silence
    that this rescuer has witnessed. Any number of rescuers may look at once, each takes what no
    other has locked.
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
            # A new one each time: perhaps Postgres was away, and all were silent for want of it.
            vigil = Vigil(self._silence, LOOK_SECONDS)
            while True:
                heartbeats = await database.execute(steps.HEARTBEATS)
                vigil.look({name: beat async for name, beat in heartbeats})
                if vigil.is_informed:
                    await self._rescue(database, vigil.silent)
                    await database.execute(steps.FORGET_WORKERS, {"silent": vigil.silent})
                await asyncio.sleep(LOOK_SECONDS)

    async def _rescue(self, database: AsyncConnection[Any], silent: list[str]) -> None:
        rescued = await (await database.execute(steps.RESCUE, {"silent": silent})).fetchall()
        for job_id, kind, worker, state in rescued:
            log.warning("job rescued", job=str(job_id), kind=kind, worker=worker, state=state)
        if rescued:
            self._on_rescue()
