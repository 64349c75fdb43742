"""Takes a sample every few seconds, for as long as somebody listens."""

import asyncio
import time
from datetime import timedelta

import psycopg
from sqlalchemy import NullPool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.orm import Session

from outbox.kinds import Kinds
from outbox.listeners import measures
from outbox.maintenance.sampling import totals
from outbox.maintenance.sampling.promises import PromiseMeter
from outbox.maintenance.sampling.sampled import Sampled
from outbox.operations import status
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.session_settings import READ_COMMITTED, configure_engine

INTERVAL_SECONDS = 5.0
PAUSE_FACTOR = 9
"""The least pause in durations of the last sample: it takes a tenth of the time at most."""
SETTINGS = READ_COMMITTED | {
    "statement_timeout": "5s",
    "default_transaction_read_only": "on",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
}
"""Makes Postgres read jobs along their indexes, also where its statistics are old."""


class Sampler:
    """Samples by a connection of its own, and tells `Sampled`. It writes nothing."""

    def __init__(self, database_url: str, kinds: Kinds, silence: timedelta) -> None:
        """`silence` is after how long a worker without heartbeat is dead."""
        self._database_url = database_url
        self._kinds = kinds
        self._silence = silence
        self._meter = PromiseMeter(silence, INTERVAL_SECONDS)

    async def run(self) -> None:
        """Sample for ever. Raises psycopg's errors; call it again then.

        A failed sample is told to nobody. The next one looks again at what was broken before it.
        """
        engine = create_async_engine(sqlalchemy_url(self._database_url), poolclass=NullPool)
        configure_engine(engine.sync_engine, SETTINGS)
        try:
            async with engine.connect() as database:
                while True:
                    began = time.monotonic()
                    await self._sample(database)
                    took = time.monotonic() - began
                    await asyncio.sleep(max(INTERVAL_SECONDS, PAUSE_FACTOR * took))
        except DBAPIError as error:
            if isinstance(error.orig, psycopg.Error):
                raise error.orig from None
            raise

    async def _sample(self, database: AsyncConnection) -> None:
        async with database.begin():
            sample = await database.run_sync(lambda own: self.read(Session(own)))
        measures.emit(sample)

    def read(self, session: Session) -> Sampled:
        """Take a sample. Raises SQLAlchemy's errors."""
        return Sampled(
            queues=status.queues(session, self._kinds, self._silence),
            totals=totals.read(session),
            broken=self._meter.look(session),
        )
