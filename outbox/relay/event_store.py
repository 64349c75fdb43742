"""A batch of outbox events in Postgres: one round trip locks it, another settles it and commits.

Its transaction stays open in between. If the batch is never settled, its connection closes when the
relay's run or process ends, and the events are as they were.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq.abc import PGresult

from outbox.amqp.messages import Dispatch
from outbox.postgres.round_trip import Ask, PreparedStatement, array, named_rows, plain, round_trip
from outbox.postgres.session_settings import TRANSITION_SETTINGS, connect_async, is_pooled
from outbox.relay.capacity import Capacity
from outbox.relay.scan_cursor import Event, ScanCursor
from outbox.relay.unpublishable import Unpublishable, unpublishable
from outbox.store import transitions

LARGEST_BATCH = 1000
"""The most events of one queue in a batch."""

_LOCK = PreparedStatement("lock_events", transitions.LOCK_EVENTS)
_DELETE = PreparedStatement("delete_events", transitions.DELETE_EVENTS)
_DEFER = PreparedStatement("defer_events", transitions.DEFER_EVENTS)
_BEGIN, _COMMIT = plain("BEGIN ISOLATION LEVEL READ COMMITTED"), plain("COMMIT")


@asynccontextmanager
async def connect(database_url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """Open a connection for the functions below. Raises psycopg's errors."""
    async with await connect_async(database_url, TRANSITION_SETTINGS) as database:
        if not is_pooled(database):
            await _execute(database, _LOCK.prepare, _DELETE.prepare, _DEFER.prepare)
        yield database


async def lock(
    database: AsyncConnection[Any], capacity: Capacity, scan_cursor: ScanCursor
) -> list[Event]:
    """Begin a transaction and lock what there is capacity for. Raises psycopg's errors."""
    wanted = _wanted(capacity, scan_cursor)
    _, locked = await _execute(database, _BEGIN, _LOCK.of(database, wanted))
    return [
        Event(Dispatch(*named), level, available_at)
        for *named, level, available_at in named_rows(database, locked)
    ]


async def settle(
    database: AsyncConnection[Any], confirmed: Sequence[Dispatch], refused: Sequence[Dispatch]
) -> Unpublishable:
    """Delete confirmed events, defer refused ones and commit; returns the unpublishable ones.

    Those are deferred too, until their jobs are made dead; if the process dies before, they are
    tried again. Raises psycopg's errors: then nothing has changed, unless only the answer to the
    commit was lost.
    """
    statements = [_DELETE.of(database, _keys(confirmed))] if confirmed else []
    if refused:
        statements.append(_DEFER.of(database, _keys(refused)))
    answers = await _execute(database, *statements, _COMMIT)
    return unpublishable(refused, named_rows(database, answers[-2])) if refused else []


async def _execute(database: AsyncConnection[Any], *statements: Ask) -> list[PGresult]:
    return await database.wait(round_trip(database, *statements))


def _wanted(capacity: Capacity, scan_cursor: ScanCursor) -> dict[str, str]:
    limit = LARGEST_BATCH
    queues = [queue for queue, _ in capacity.items()]
    return {
        "queues": array(queues),
        "rooms": array(min(each.messages, limit) for _, each in capacity.items()),
        "replays": array(min(n, limit) for _, each in capacity.items() for n in each.replays),
        "reached": array(scan_cursor.of(queues)),
    }


def _keys(dispatches: Sequence[Dispatch]) -> dict[str, str]:
    return {
        "job_id": array(each.job_id for each in dispatches),
        "dispatch": array(each.dispatch for each in dispatches),
    }
