"""PgQueuer: the queue in Postgres, NOTIFY for each job, and workers that record every job.

Plain code enqueues synchronously, in the transaction of the order; workers use asyncpg, as its
quick start does. Its bulk way is `enqueue` with lists. The worker is run by `run`, with its
defaults: the command `pgq run` fails beside the Typer that is locked here.
"""

import asyncio
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import asyncpg
import psycopg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, SyncPsycopgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries, SyncQueries

from bench.systems.shop import INSERT_ORDER, WITH_ORDER
from bench.tally import mark

ENTRYPOINT = "nothing"


async def work() -> None:
    """A worker process."""
    queuer = PgQueuer(AsyncpgDriver(await asyncpg.connect(os.environ["DATABASE_URL"])))

    @queuer.entrypoint(ENTRYPOINT)
    async def nothing(job: Job) -> None:
        assert job.payload
        mark(int(job.payload))

    await queuer.run()


async def install(database_url: str) -> None:
    """Its tables."""
    connection = await asyncpg.connect(database_url)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()


@cache
def _producer() -> tuple["psycopg.Connection[Any]", SyncQueries]:
    connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return connection, SyncQueries(SyncPsycopgDriver(connection))


def hand_in(numbers: Sequence[int]) -> None:
    """The order's row and its jobs, in one transaction."""
    connection, queries = _producer()
    payloads: list[bytes | None] = [b"%d" % number for number in numbers]
    with connection.transaction():
        if WITH_ORDER:
            connection.execute(INSERT_ORDER)
        queries.enqueue([ENTRYPOINT] * len(payloads), payloads, [0] * len(payloads))


if __name__ == "__main__":
    asyncio.run(work())
