"""SUBMIT and COMMIT on a connection of psycopg: one round trip, and one write where it can be."""

from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.pq import TransactionStatus

from outbox import steps
from outbox.round_trip import Statement, plain, prepared, round_trip
from outbox.submission import Row

COMMIT = plain("COMMIT")
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
            async with connection.lock:
                await connection.wait(round_trip(connection, prepared(name, values), COMMIT))
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
    key = statement.text, statement.types
    if connection.prepare_threshold is None or key not in names:
        return None
    names.move_to_end(key)  # or psycopg would take it for one that is not used
    name: bytes = names[key]
    return name


async def _in_a_pipeline(connection: AsyncConnection[Any], step: str, row: Row) -> None:
    async with connection.pipeline():
        # Not of the connection's own class, which may put a payload into the statement's text.
        await AsyncCursor(connection).execute(step, row, prepare=True)
        await AsyncCursor(connection).execute("COMMIT", prepare=False)
