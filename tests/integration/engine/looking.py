"""A relay that looks when it is told to, for what is in its queue and nothing else."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from math import inf
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from outbox.amqp.connection import connect
from outbox.amqp.publisher import Publisher
from outbox.amqp.queue_backoff import QueueBackoff
from outbox.amqp.queue_depths import Queues
from outbox.relay import event_store
from outbox.relay.capacity import Capacity
from outbox.relay.loop import Relay, _Resources
from outbox.relay.pipeline import Pipeline

WINDOW = 1000


class Looking:
    """Tells a relay to look."""

    def __init__(
        self, relay: Relay, ways: _Resources, events: Sequence[AsyncConnection[Any]]
    ) -> None:
        self._relay, self._ways, self._events = relay, ways, events

    async def look(self, *, expects: bool) -> int:
        """Once; returns how many events it took up."""
        return await self._relay._poll(self._ways, expects=expects)

    async def breathe(self, moved: int, *, expects: bool) -> None:
        """What it does between a look that took up so many and the next."""
        await self._relay._wait_for_next_poll(self._ways, moved, expects=expects)

    def make_due(self, seconds: float) -> None:
        """Have the look at all there is due for so long."""
        self._relay._next_sweep = time.monotonic() - seconds

    def fill_queues(self) -> None:
        """Have no queue take any more."""
        self._measure(WINDOW)

    def empty_queues(self) -> None:
        """Have every queue take a thousand."""
        self._measure(0)

    def _measure(self, depth: int) -> None:
        self._ways.capacity.measure({queue: depth for queue, _ in self._ways.capacity.items()})

    @property
    def is_idle(self) -> bool:
        """Whether no transaction is open."""
        return all(each.info.transaction_status == TransactionStatus.IDLE for each in self._events)


@asynccontextmanager
async def looking(database_url: str, amqp_url: str, queue: str) -> AsyncIterator[Looking]:
    """One that has looked at all there is, and found room for a thousand in its queue."""
    relay = Relay(database_url, amqp_url, [queue], window=WINDOW, patience=timedelta(seconds=30))
    relay._next_sweep = inf
    async with (
        event_store.connect(database_url) as one,
        event_store.connect(database_url) as other,
        connect(amqp_url) as link,
    ):
        capacity = Capacity(WINDOW)
        capacity.measure({queue: 0})
        pipeline = Pipeline([one, other], Publisher(link), QueueBackoff(), capacity)
        yield Looking(
            relay, _Resources(one, Queues(link, QueueBackoff()), capacity, pipeline), [one, other]
        )
