"""SUBMIT and COMMIT on a connection of psycopg: one round trip, and one write where it can be.

psycopg's pipeline writes each statement by itself and looks for answers in between, which costs a
request more than all the rest of its job.
"""

import re
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor, generators
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from outbox import steps
from outbox.submission import Row


class Statement:
    """A step as psycopg knows it once it is prepared."""

    def __init__(self, step: str) -> None:
        self.parameters = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", step)))
        for number, parameter in enumerate(self.parameters, 1):
            step = step.replace(f"%({parameter})s", f"${number}")
        self.key = step.encode(), (0,) * len(self.parameters)
        """The query as Postgres reads it, and its types: all are texts, which Postgres converts."""

    def values(self, row: Row, encoding: str) -> list[bytes | None]:
        """The parameters in their order. Raises DataError for a NUL, at which libpq would cut."""
        texts = [row[parameter] for parameter in self.parameters]
        values = [None if text is None else text.encode(encoding) for text in texts]
        if b"\0" in b"".join(filter(None, values)):
            raise psycopg.DataError("a job's text may not contain NUL")
        return values


_STATEMENTS = {step: Statement(step) for step in (steps.SUBMIT, steps.SUBMIT_ALL)}


async def submit_and_commit(connection: AsyncConnection[Any], step: str, row: Row) -> None:
    """Take the step, SUBMIT or SUBMIT_ALL, and commit.

    If it raises, with psycopg's errors, nothing was committed, and the transaction may still be
    open; but where the connection broke or the task was cancelled, all was committed or nothing. So
    it is if the process dies.
    """
    statement = _STATEMENTS[step]
    name = _prepared(connection, statement)
    is_open = connection.pgconn.transaction_status == TransactionStatus.INTRANS
    try:
        if name and is_open:
            values = statement.values(row, connection.info.encoding)
            await _in_one_write(connection, name, values)
        else:
            await _in_a_pipeline(connection, step, row)
    except BaseException as error:
        if connection.pgconn.pipeline_status:  # answers may be to come, which nobody else must get
            connection.pgconn.finish()
            if isinstance(error, Exception) and not isinstance(error, psycopg.Error):
                raise psycopg.OperationalError("the connection was closed in a commit") from error
        raise


def _prepared(connection: AsyncConnection[Any], statement: Statement) -> bytes | None:
    """The name that the step has on this connection, if psycopg has prepared it.

    psycopg forgets it with a ROLLBACK, for one. It has no public way to ask; were the private one
    gone, all would go by its pipeline.
    """
    names: Any = getattr(getattr(connection, "_prepared", None), "_names", {})
    if connection.prepare_threshold is None or statement.key not in names:
        return None
    names.move_to_end(statement.key)  # or psycopg would take it for one that is not used
    name: bytes = names[statement.key]
    return name


async def _in_a_pipeline(connection: AsyncConnection[Any], step: str, row: Row) -> None:
    async with connection.pipeline():
        # Not of the connection's own class, which may put a payload into the statement's text.
        await AsyncCursor(connection).execute(step, row, prepare=True)
        await AsyncCursor(connection).execute("COMMIT", prepare=False)


async def _in_one_write(
    connection: AsyncConnection[Any], name: bytes, values: Sequence[bytes | None]
) -> None:
    async with connection.lock:
        pgconn = connection.pgconn
        pgconn.enter_pipeline_mode()
        pgconn.send_query_prepared(name, values)
        pgconn.send_query_params(b"COMMIT", None)
        pgconn.pipeline_sync()
        failed = await connection.wait(_failure(connection))
        pgconn.exit_pipeline_mode()
    if failed:
        raise failed


def _failure(connection: AsyncConnection[Any]) -> PQGen[psycopg.Error | None]:
    """Send what libpq was given; returns what Postgres had against it, once it has answered all.

    Raises where answers are missing, which leaves the connection useless.
    """
    pgconn = connection.pgconn
    yield from generators.send(pgconn)
    answers: list[PGresult] = []
    lost: psycopg.Error | None = None
    try:
        for _ in ("SUBMIT", "COMMIT", "the end of both"):
            answers += yield from generators.fetch_many(pgconn)
    except psycopg.OperationalError as error:
        lost = error
    failures = (answer for answer in answers if answer.status == ExecStatus.FATAL_ERROR)
    failed = next((_error(connection, each) for each in failures), None)
    if not answers or answers[-1].status != ExecStatus.PIPELINE_SYNC:
        raise failed or lost or psycopg.OperationalError("Postgres did not answer as it should")
    return failed


def _error(connection: AsyncConnection[Any], answer: PGresult) -> psycopg.Error:
    return error_from_result(answer, encoding=connection.info.encoding)
