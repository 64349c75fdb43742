"""Sends what submits, and COMMIT, over a psycopg connection in one round trip, or one write."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.pq import TransactionStatus

from outbox.postgres.round_trip import Ask, Statement, plain, prepared, round_trip
from outbox.store import transitions
from outbox.submission.statement import Row

COMMIT = plain("COMMIT")
_SUBMIT = (transitions.SUBMIT, transitions.SUBMIT_ALL, transitions.SUBMIT_MEMBERS)
_STATEMENTS = {each: Statement(each) for each in (*_SUBMIT, transitions.PUBLISH)}

Submission = Sequence[tuple[str, Row]]
"""Transitions that submit or publish, each with its parameters."""


async def submit_and_commit(connection: AsyncConnection[Any], submission: Submission) -> None:
    """Run the transitions, and commit.

    If it raises one of psycopg's errors, nothing was committed, and the transaction may still be
    open. If the connection broke, the task was cancelled or the process died, either everything
    was committed or nothing.
    """
    asks = _prepared(connection, submission)
    is_open = connection.pgconn.transaction_status == TransactionStatus.INTRANS
    try:
        if asks and is_open:
            async with connection.lock:
                await connection.wait(round_trip(connection, *asks, COMMIT))
        else:
            await _commit_in_pipeline(connection, submission)
    except BaseException as error:
        if connection.pgconn.pipeline_status:  # nobody else may read the answers still to come
            connection.pgconn.finish()
            if isinstance(error, Exception) and not isinstance(error, psycopg.Error):
                raise psycopg.OperationalError("the connection was closed in a commit") from error
        raise


def _prepared(connection: AsyncConnection[Any], submission: Submission) -> list[Ask]:
    """The statements as prepared on this connection; none if one is not."""
    asks = []
    for transition, row in submission:
        statement = _STATEMENTS[transition]
        name = _prepared_name(connection, statement)
        if name is None:
            return []
        asks.append(prepared(name, statement.values(row, connection.info.encoding)))
    return asks


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


async def _commit_in_pipeline(connection: AsyncConnection[Any], submission: Submission) -> None:
    async with connection.pipeline():
        for transition, row in submission:
            # A cursor class of the connection's own might put a payload into the statement's text.
            await AsyncCursor(connection).execute(transition, row, prepare=True)
        await AsyncCursor(connection).execute("COMMIT", prepare=False)
