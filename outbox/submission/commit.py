"""Sends SUBMIT and COMMIT over a psycopg connection in one round trip, if possible one write."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row

from outbox.postgres.round_trip import Ask, Statement, named_rows, plain, prepared, round_trip
from outbox.submission.statement import STATEMENTS, Submission

COMMIT = plain("COMMIT")
_STATEMENTS = {each: Statement(each) for each in STATEMENTS}


async def submit_and_commit(
    connection: AsyncConnection[Any], submissions: Sequence[Submission]
) -> None:
    """Run the transitions and commit. Then tell the jobs of unique kinds which jobs they are.

    If it raises one of psycopg's errors, nothing was committed, and the transaction may still be
    open. If the connection broke, the task was cancelled or the process died, either everything
    was committed or nothing.
    """
    asks = [_prepared(connection, each) for each in submissions]
    is_open = connection.pgconn.transaction_status == TransactionStatus.INTRANS
    try:
        if is_open and (ready := [each for each in asks if each]) == asks:
            async with connection.lock:
                answers = await connection.wait(round_trip(connection, *ready, COMMIT))
            for each, answer in zip(submissions, answers, strict=False):
                if each.unique:
                    each.tell(named_rows(connection, answer))
        else:
            await _commit_in_pipeline(connection, submissions)
    except BaseException as error:
        if connection.pgconn.pipeline_status:  # nobody else may read the answers still to come
            connection.pgconn.finish()
            if isinstance(error, Exception) and not isinstance(error, psycopg.Error):
                raise psycopg.OperationalError("the connection was closed in a commit") from error
        raise


def _prepared(connection: AsyncConnection[Any], submission: Submission) -> Ask | None:
    """The statement as psycopg has prepared it on this connection, or None."""
    statement = _STATEMENTS[submission.transition]
    if name := _prepared_name(connection, statement):
        return prepared(name, statement.values(submission.parameters, connection.info.encoding))
    return None


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


async def _commit_in_pipeline(
    connection: AsyncConnection[Any], submissions: Sequence[Submission]
) -> None:
    # A cursor class of the connection's own might put a payload into the statement's text.
    cursors = [AsyncCursor(connection, row_factory=namedtuple_row) for _ in submissions]
    async with connection.pipeline():
        for cursor, each in zip(cursors, submissions, strict=True):
            await cursor.execute(each.transition, each.parameters, prepare=True)
        await AsyncCursor(connection).execute("COMMIT", prepare=False)
    for cursor, each in zip(cursors, submissions, strict=True):
        if each.unique:
            each.tell(await cursor.fetchall())
