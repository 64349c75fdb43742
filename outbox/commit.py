"""SUBMIT and COMMIT on a connection of psycopg: one round trip, and one write where it can be.

psycopg's pipeline writes each statement by itself and looks for answers in between, which costs a
request more than all the rest of its job.
"""

from contextlib import suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, generators
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from outbox import steps

_KEY = steps.SUBMIT.replace("%(jobs)s", "$1").encode(), (0,)
"""By which psycopg knows what it has prepared: the query as Postgres reads it, and its types."""


async def submit_and_commit(connection: AsyncConnection[Any], jobs: str) -> None:
    """Take SUBMIT for the jobs, which are JSON, and commit.

    If it raises, with psycopg's errors, nothing was committed, but where the connection broke or
    the task was cancelled: then all was or nothing. So it is if the process dies.
    """
    name = _prepared(connection)
    if name and connection.pgconn.transaction_status == TransactionStatus.INTRANS:
        await _in_one_write(connection, name, jobs)
    else:
        await _in_a_pipeline(connection, jobs)


def _prepared(connection: AsyncConnection[Any]) -> bytes | None:
    """The name that SUBMIT has on this connection, if psycopg has prepared it, as it does by use.

    It forgets it again, say after a ROLLBACK, and prepares nothing where it is told so. It has no
    public way to ask; were the private one gone, all would go by psycopg's pipeline.
    """
    names: dict[Any, bytes] = getattr(getattr(connection, "_prepared", None), "_names", {})
    return names.get(_KEY)


async def _in_a_pipeline(connection: AsyncConnection[Any], jobs: str) -> None:
    async with connection.pipeline():
        await connection.execute(steps.SUBMIT, {"jobs": jobs})
        await connection.execute("COMMIT", prepare=False)


async def _in_one_write(connection: AsyncConnection[Any], name: bytes, jobs: str) -> None:
    async with connection.lock:
        ways = connection.pgconn
        ways.enter_pipeline_mode()
        ways.send_query_prepared(name, [jobs.encode()])
        ways.send_query_params(b"COMMIT", None)
        ways.pipeline_sync()
        try:
            failed = await connection.wait(_first_failure(ways))
        finally:
            with suppress(psycopg.OperationalError):  # the connection is lost, which was said
                ways.exit_pipeline_mode()
    if failed:
        raise error_from_result(failed, encoding=connection.info.encoding)


def _first_failure(ways: PGconn) -> PQGen[PGresult | None]:
    """Send what was given to libpq; returns the answer that is an error, of all up to the sync."""
    yield from generators.send(ways)
    failed: PGresult | None = None
    while True:
        try:
            answers: list[PGresult] = yield from generators.fetch_many(ways)
        except psycopg.OperationalError:
            if failed:
                return failed  # which says why the connection is lost
            raise
        for answer in answers:
            if answer.status == ExecStatus.PIPELINE_SYNC:
                return failed
            if answer.status == ExecStatus.FATAL_ERROR:
                failed = failed or answer
