"""A batch of messages in Postgres: one round trip locks it, another settles it and commits.

Its transaction stays open in between. If the batch is never settled, its connection closes when the
relay's run or process ends, and the messages are as they were.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from psycopg import AsyncConnection
from psycopg.pq.abc import PGresult

from outbox.amqp.outgoing import Outgoing
from outbox.postgres.round_trip import Ask, PreparedStatement, array, named_rows, plain, round_trip
from outbox.postgres.session_settings import TRANSITION_SETTINGS, connect_async, is_pooled
from outbox.store import transitions

FROM_THE_START = 0

_LOCK = PreparedStatement("lock_messages", transitions.LOCK_MESSAGES)
_SENT = PreparedStatement("keep_sent", transitions.KEEP_SENT)
_DEFER = PreparedStatement("defer_messages", transitions.DEFER_MESSAGES)
_BEGIN, _COMMIT = plain("BEGIN ISOLATION LEVEL READ COMMITTED"), plain("COMMIT")


@asynccontextmanager
async def connect(database_url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """Open a connection for the functions below. Raises psycopg's errors."""
    async with await connect_async(database_url, TRANSITION_SETTINGS) as database:
        if not is_pooled(database):
            await _execute(database, _LOCK.prepare, _SENT.prepare, _DEFER.prepare)
        yield database


class Locked(NamedTuple):
    """What a transaction has locked."""

    messages: list[Outgoing]
    after: int
    """Where the next batch begins."""
    is_cut: bool
    """Whether more are locked than these: the next batch must wait until they are let go."""


async def lock(database: AsyncConnection[Any], after: int) -> Locked:
    """Begin a transaction and lock what is due. Raises psycopg's errors."""
    _, locked = await _execute(database, _BEGIN, _LOCK.of(database, {"after": str(after)}))
    rows = named_rows(database, locked)
    positions = [row.position for row in rows if row.position is not None]
    messages = [Outgoing(*row[:-2]) for row in rows]
    is_cut = bool(rows) and rows[0].locked > len(rows)
    return Locked(messages, max(positions, default=after), is_cut)


async def settle(
    database: AsyncConnection[Any],
    confirmed: Sequence[Outgoing],
    refused: Sequence[Outgoing],
    put_off: Sequence[Outgoing],
) -> dict[str, int]:
    """Keep confirmed messages as sent, defer the others and commit.

    Returns how often each refused message has been refused; one that is only put off counts no
    failure. Raises psycopg's errors: then nothing has changed, unless only the answer to the commit
    was lost.
    """
    statements = []
    if confirmed:
        statements.append(_SENT.of(database, {"id": array(each.id for each in confirmed)}))
    if refused or put_off:
        statements.append(_DEFER.of(database, _deferred(refused, put_off)))
    answers = await _execute(database, *statements, _COMMIT)
    if not refused:
        return {}
    failures = {row.id: row.failures for row in named_rows(database, answers[-2])}
    return {each.id: failures.get(each.id, 0) for each in refused}


def _deferred(refused: Sequence[Outgoing], put_off: Sequence[Outgoing]) -> dict[str, str]:
    return {
        "id": array(each.id for each in (*refused, *put_off)),
        "failures": array([1] * len(refused) + [0] * len(put_off)),
    }


async def _execute(database: AsyncConnection[Any], *statements: Ask) -> list[PGresult]:
    return await database.wait(round_trip(database, *statements))
