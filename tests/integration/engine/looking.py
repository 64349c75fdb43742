"""A relay that looks when it is told to, for what is in its queue and nothing else."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from math import inf
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from outbox import batches
from outbox.link import connect
from outbox.mover import Mover
from outbox.pauses import Pauses
from outbox.publisher import Publisher
from outbox.queues import Queues
from outbox.relay import Relay, _Ways
from outbox.rooms import Rooms

WINDOW = 1000


class Looking:
    """Tells a relay to look."""

    def __init__(self, relay: Relay, ways: _Ways, events: Sequence[AsyncConnection[Any]]) -> None:
        self._relay, self._ways, self._events = relay, ways, events

    async def look(self, *, expects: bool) -> int:
        """Once; returns how many events it took up."""
        return await self._relay._look(self._ways, expects=expects)

    async def breathe(self, moved: int, *, expects: bool) -> None:
        """What it does between a look that took up so many and the next."""
        await self._relay._breathe(self._ways, moved, expects=expects)

    def make_due(self, seconds: float) -> None:
        """Have the look at all there is due for so long."""
        self._relay._next_look = time.monotonic() - seconds

    def fill_queues(self) -> None:
        """Have no queue take any more."""
        self._measure(WINDOW)

    def empty_queues(self) -> None:
        """Have every queue take a thousand."""
        self._measure(0)

    def _measure(self, depth: int) -> None:
        self._ways.rooms.measure({queue: depth for queue, _ in self._ways.rooms.items()})

    @property
    def is_idle(self) -> bool:
        """Whether no transaction is open."""
        return all(each.info.transaction_status == TransactionStatus.IDLE for each in self._events)


@asynccontextmanager
async def looking(database_url: str, amqp_url: str, queue: str) -> AsyncIterator[Looking]:
    """One that has looked at all there is, and found room for a thousand in its queue."""
    relay = Relay(database_url, amqp_url, [queue], window=WINDOW, patience=timedelta(seconds=30))
    relay._next_look = inf
    async with (
        batches.connect(database_url) as one,
        batches.connect(database_url) as other,
        connect(amqp_url) as link,
    ):
        rooms = Rooms(WINDOW)
        rooms.measure({queue: 0})
        mover = Mover([one, other], Publisher(link), Pauses(), rooms)
        yield Looking(relay, _Ways(one, Queues(link, Pauses()), rooms, mover), [one, other])
