"""Publishes batches of outbox events: one is sent while another is in flight.

RabbitMQ writes one batch while Postgres locks the next and settles the previous one, and an event
that follows a small batch does not wait for its confirms. There are two connections to Postgres, as
each holds the transaction of one batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection

from outbox.amqp.connection import BrokerGone
from outbox.amqp.messages import Dispatch
from outbox.amqp.publisher import Publisher, Sending
from outbox.amqp.queue_backoff import QueueBackoff
from outbox.events import Published, emit, is_wanted
from outbox.relay import event_store, unpublishable
from outbox.relay.capacity import Capacity
from outbox.relay.scan_cursor import ScanCursor
from outbox.relay.unpublishable import Unpublishable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch in flight, and the connection whose transaction holds its events."""

    database: AsyncConnection[Any]
    flawed: Sequence[Dispatch]
    sending: Sending[Dispatch]


class Pipeline:
    """Publishes as much as there is capacity for, highest priority first.

    If the process dies or Postgres goes away, what is in flight stays locked until its connections
    end; the next relay publishes it again. If RabbitMQ goes away, what it has confirmed is settled,
    and the rest is published again.
    """

    def __init__(
        self,
        databases: Sequence[AsyncConnection[Any]],
        publisher: Publisher[Dispatch],
        queue_backoff: QueueBackoff,
        capacity: Capacity,
    ) -> None:
        self._idle = list(databases)
        self._publisher = publisher
        self._queue_backoff = queue_backoff
        self._in_flight: _Batch | None = None
        self._unpublishable: Unpublishable = []
        self._nacking: set[str] = set()
        self._scan_cursor = ScanCursor()
        self._capacity = capacity

    def restart_scan(self) -> None:
        """Let the next batch begin at the oldest event."""
        self._scan_cursor.reset()

    async def move(self) -> int:
        """Send a batch and settle the previous one; returns how many events were taken.

        The batch stays in flight until the next or `drain`. Raises BrokerGone or psycopg's errors.
        """
        try:
            count, batch = await self._send()
        except BrokerGone:
            await self._settle_last()  # the broker may have confirmed all of it
            raise
        await self._settle_last()
        self._in_flight = batch
        if self._unpublishable or self._nacking:
            await self.drain()
        return count

    async def drain(self) -> None:
        """Settle what is in flight, so that no event is locked. Raises as `move`."""
        await self._settle_last()
        self._back_off_nacking_queues()
        # Not while events are locked: this locks jobs, and cancel locks a job before its event.
        while self._unpublishable:
            await unpublishable.bury(self._idle[-1], *self._unpublishable.pop())

    async def _send(self) -> tuple[int, _Batch | None]:
        database = self._idle.pop()
        locked = await event_store.lock(database, self._capacity, self._scan_cursor)
        self._capacity.spend(locked)
        if not locked:
            await database.execute("COMMIT")
            self._idle.append(database)
            return 0, None
        self._scan_cursor.advance(locked)
        dispatches = [event.dispatch for event in locked]
        flawed = [each for each in dispatches if unpublishable.flaw(each)]
        if flawed:
            dispatches = [each for each in dispatches if not unpublishable.flaw(each)]
        return len(locked), _Batch(database, flawed, await self._publisher.send(dispatches))

    async def _settle_last(self) -> None:
        batch, self._in_flight = self._in_flight, None
        if batch is None:
            return
        outcome = await self._publisher.outcome(batch.sending)
        refused = [*outcome.refused, *batch.flawed]
        if refused:
            log.warning("messages refused", count=len(refused), first=refused[0].message_id)
        self._unpublishable += await event_store.settle(batch.database, outcome.confirmed, refused)
        self._idle.append(batch.database)
        _emit_published(outcome.confirmed)
        for queue in {each.queue for each in outcome.confirmed}:
            self._queue_backoff.forget(queue)
        self._nacking.update(each.queue for each in outcome.nacked)

    def _back_off_nacking_queues(self) -> None:
        """Briefly where part was confirmed; otherwise for longer each time."""
        for queue in self._nacking:
            self._queue_backoff.leave_out(queue, "it takes no messages")
            self._capacity.exclude(queue)
        self._nacking.clear()


def _emit_published(dispatches: Sequence[Dispatch]) -> None:
    if is_wanted(Published):
        for job, number, kind, queue in dispatches:
            emit(Published(job_id=UUID(job), kind=kind, queue=queue, dispatch=number))
