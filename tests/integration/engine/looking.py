"""A relay that polls when it is told to, and publishes what is in its queue and nothing else."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from math import inf
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from outbox.amqp import messages
from outbox.amqp.connection import connect
from outbox.amqp.publisher import Publisher
from outbox.amqp.queue_backoff import QueueBackoff
from outbox.amqp.queue_depths import Queues
from outbox.relay.capacity import Capacity
from outbox.relay.loop import Relay, _Resources
from outbox.relay.pipeline import Pipeline, open_database

WINDOW = 1000


class Looking:
    """Tells a relay to look."""

    def __init__(
        self, relay: Relay, opened: _Resources, events: Sequence[AsyncConnection[Any]]
    ) -> None:
        self._relay, self._opened, self._events = relay, opened, events

    async def look(self) -> int:
        """Poll once; returns how many events were taken."""
        taken = await self._relay._poll(self._opened)
        self._opened.broker.check()
        return taken

    def make_sweep_due(self) -> None:
        """Have the next poll sweep."""
        self._relay._policy._next_sweep = 0

    def make_measurement_due(self) -> None:
        """Have the next poll measure the queues, if one takes no more messages."""
        self._relay._policy._next_measurement = 0

    def fill(self, *queues: str) -> None:
        """Have these queues take no more, and others all there is."""
        full = dict.fromkeys(queues, WINDOW)
        self._opened.capacity.measure(dict.fromkeys(self._relay.queues, 0) | full)

    @property
    def is_idle(self) -> bool:
        """Whether no transaction is open."""
        return all(each.info.transaction_status == TransactionStatus.IDLE for each in self._events)


@asynccontextmanager
async def looking(
    database_url: str, amqp_url: str, *queues: str, window: int = WINDOW
) -> AsyncIterator[Looking]:
    """One that has swept, and found room for a window in each of its queues."""
    relay = Relay(database_url, amqp_url, queues, window=window, patience=timedelta(seconds=30))
    relay._policy._next_sweep = relay._policy._next_measurement = inf
    async with (
        open_database(database_url) as one,
        open_database(database_url) as other,
        connect(amqp_url) as link,
    ):
        capacity = Capacity(window)
        capacity.measure(dict.fromkeys(queues, 0))
        pipeline = Pipeline(
            [one, other], Publisher(link, messages.frames), QueueBackoff(), capacity
        )
        opened = _Resources(one, link, Queues(link, QueueBackoff()), capacity, pipeline)
        yield Looking(relay, opened, [one, other])
