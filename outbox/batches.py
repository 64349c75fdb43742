"""A batch of events in Postgres: one round trip locks it, another settles it and commits.

In between lies an open transaction. If it is never settled, its connection ends with the relay's
run, and the events are as they were.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection

from outbox import refusals, steps
from outbox.frontier import Event, Frontier
from outbox.refusals import Hopeless
from outbox.wire import Dispatch

LARGEST_BATCH = 1000

Rooms = Mapping[str, int]
"""How many messages each queue has room for."""


async def is_any_due(database: AsyncConnection[Any], rooms: Rooms) -> bool:
    """Whether there is anything to lock. One round trip, after which nothing is open."""
    return bool((await database.execute(steps.LOCK_EVENTS, _wanted(rooms, 1, Frontier()))).rowcount)


async def lock(database: AsyncConnection[Any], rooms: Rooms, frontier: Frontier) -> list[Event]:
    """Begin a transaction and lock what there is room for. Raises psycopg's errors."""
    async with database.pipeline():
        await database.execute("BEGIN")
        locked = await database.execute(steps.LOCK_EVENTS, _wanted(rooms, LARGEST_BATCH, frontier))
    return [
        (Dispatch(*named), priority, available_at)
        for *named, priority, available_at in await locked.fetchall()
    ]


async def settle(
    database: AsyncConnection[Any], confirmed: Sequence[Dispatch], refused: Sequence[Dispatch]
) -> Hopeless:
    """Delete what was confirmed, let the refused back off, and commit; returns the hopeless ones.

    Raises psycopg's errors: then nothing of it has happened, unless the commit's answer was lost.
    """
    async with database.pipeline():
        if confirmed:
            await database.execute(steps.DELETE_EVENTS, refusals.keys(confirmed))
        deferred = await refusals.defer(database, refused)
        await database.execute("COMMIT")
    return await refusals.hopeless(refused, deferred)


def _wanted(rooms: Rooms, most: int, frontier: Frontier) -> dict[str, list[Any]]:
    return {
        "queues": list(rooms),
        "rooms": [min(room, most) for room in rooms.values()],
        **frontier.of(rooms),
    }
