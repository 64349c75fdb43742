"""A batch of events in Postgres: one round trip locks it, another settles it and commits.

In between lies an open transaction. If it is never settled, its connection ends with the relay's
run, and the events are as they were.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq.abc import PGresult

from outbox import steps
from outbox.frontier import Event, Frontier
from outbox.postgres import STEPS, connect_async, is_pooled
from outbox.refusals import Hopeless, hopeless
from outbox.rooms import Rooms
from outbox.round_trip import Ask, PreparedStatement, array, named_rows, plain, round_trip
from outbox.wire import Dispatch

LARGEST_BATCH = 1000

_LOCK = PreparedStatement("lock_events", steps.LOCK_EVENTS)
_DELETE = PreparedStatement("delete_events", steps.DELETE_EVENTS)
_DEFER = PreparedStatement("defer_events", steps.DEFER_EVENTS)
_BEGIN, _COMMIT = plain("BEGIN ISOLATION LEVEL READ COMMITTED"), plain("COMMIT")


@asynccontextmanager
async def connect(database_url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """A connection for all that follows here. Raises psycopg's errors."""
    async with await connect_async(database_url, STEPS) as database:
        if not is_pooled(database):
            await _ask(database, _LOCK.prepare, _DELETE.prepare, _DEFER.prepare)
        yield database


async def is_any_due(database: AsyncConnection[Any], rooms: Rooms) -> bool:
    """Whether there is anything to lock. One round trip, after which nothing is open."""
    (any_,) = await _ask(database, _LOCK.of(database, _wanted(rooms, 1, Frontier())))
    return bool(any_.ntuples)


async def lock(database: AsyncConnection[Any], rooms: Rooms, frontier: Frontier) -> list[Event]:
    """Begin a transaction and lock what there is room for. Raises psycopg's errors."""
    wanted = _wanted(rooms, LARGEST_BATCH, frontier)
    _, locked = await _ask(database, _BEGIN, _LOCK.of(database, wanted))
    return [
        Event(Dispatch(*named), level, available_at)
        for *named, level, available_at in named_rows(database, locked)
    ]


async def settle(
    database: AsyncConnection[Any], confirmed: Sequence[Dispatch], refused: Sequence[Dispatch]
) -> Hopeless:
    """Delete what was confirmed, let the refused back off, and commit; returns the hopeless ones.

    Those too back off: they wait until they are buried, and if the process dies before, to be tried
    again. Raises psycopg's errors: then nothing of it has happened, unless the commit's answer was
    lost.
    """
    asks = [_DELETE.of(database, _keys(confirmed))] if confirmed else []
    if refused:
        asks.append(_DEFER.of(database, _keys(refused)))
    answers = await _ask(database, *asks, _COMMIT)
    return hopeless(refused, named_rows(database, answers[-2])) if refused else []


async def _ask(database: AsyncConnection[Any], *asks: Ask) -> list[PGresult]:
    return await database.wait(round_trip(database, *asks))


def _wanted(rooms: Rooms, most: int, frontier: Frontier) -> dict[str, str]:
    queues = [queue for queue, _ in rooms.items()]
    return {
        "queues": array(queues),
        "rooms": array(min(room.messages, most) for _, room in rooms.items()),
        "replays": array(min(each, most) for _, room in rooms.items() for each in room.replays),
        "reached": array(frontier.of(queues)),
    }


def _keys(dispatches: Sequence[Dispatch]) -> dict[str, str]:
    return {
        "job_id": array(each.job_id for each in dispatches),
        "dispatch": array(each.dispatch for each in dispatches),
    }
