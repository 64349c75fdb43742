"""Sends SUBMIT and COMMIT over a psycopg connection in one round trip, if possible one write."""

from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.pq import TransactionStatus

from outbox.postgres.round_trip import Statement, plain, prepared, round_trip
from outbox.store import transitions
from outbox.submission.statement import Row

COMMIT = plain("COMMIT")
_SUBMIT = (
    transitions.SUBMIT,
    transitions.SUBMIT_ALL,
    transitions.SUBMIT_KEYED,
    transitions.SUBMIT_MEMBERS,
)
_STATEMENTS = {each: Statement(each) for each in _SUBMIT}


async def submit_and_commit(connection: AsyncConnection[Any], transition: str, row: Row) -> None:
    """Run the transition, one of those that submit, and commit.

    If it raises one of psycopg's errors, nothing was committed, and the transaction may still be
    open. If the connection broke, the task was cancelled or the process died, either everything
    was committed or nothing.
    """
    statement = _STATEMENTS[transition]
    name = _prepared_name(connection, statement)
    is_open = connection.pgconn.transaction_status == TransactionStatus.INTRANS
    try:
        if name and is_open:
            values = statement.values(row, connection.info.encoding)
            async with connection.lock:
                await connection.wait(round_trip(connection, prepared(name, values), COMMIT))
        else:
            await _commit_in_pipeline(connection, transition, row)
    except BaseException as error:
        if connection.pgconn.pipeline_status:  # nobody else may read the answers still to come
            connection.pgconn.finish()
            if isinstance(error, Exception) and not isinstance(error, psycopg.Error):
                raise psycopg.OperationalError("the connection was closed in a commit") from error
        raise


def _prepared_name(connection: AsyncConnection[Any], statement: Statement) -> bytes | None:
    """The name under which psycopg has prepared the statement on this connection, or None.

    psycopg forgets it on a ROLLBACK, for example. It has no public way to ask. If the private
    attribute were gone, every commit would use psycopg's pipeline.
    """
    names: Any = getattr(getattr(connection, "_prepared", None), "_names", {})
    key = statement.text, statement.types
    if connection.prepare_threshold is None or key not in names:
        return None
    names.move_to_end(key)  # psycopg evicts the least recently used one
    name: bytes = names[key]
    return name


async def _commit_in_pipeline(connection: AsyncConnection[Any], transition: str, row: Row) -> None:
    async with connection.pipeline():
        # A cursor class of the connection's own might put a payload into the statement's text.
        await AsyncCursor(connection).execute(transition, row, prepare=True)
        await AsyncCursor(connection).execute("COMMIT", prepare=False)
