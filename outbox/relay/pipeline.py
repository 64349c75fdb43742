"""Publishes batches of outbox events: one is sent while another is in flight.

RabbitMQ writes one batch while Postgres locks the next and settles the previous one, and an event
that follows a small batch does not wait for its confirms. There are two connections to Postgres, as
each holds the transaction of one batch: one round trip locks the batch, another settles it and
commits. If a batch is never settled, its connection closes when the relay's run or process ends,
and the events are as they were.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection
from psycopg.pq.abc import PGresult

from outbox.amqp.connection import BrokerGone
from outbox.amqp.messages import Dispatch, flaw
from outbox.amqp.publisher import Outcome, Publisher, Sending
from outbox.amqp.queue_backoff import QueueBackoff
from outbox.events import Published, emit, is_wanted
from outbox.listeners.measures import BatchConfirmed
from outbox.listeners.measures import emit as measure
from outbox.listeners.measures import is_wanted as is_measured
from outbox.postgres.round_trip import Ask, PreparedStatement, array, named_rows, plain, round_trip
from outbox.postgres.session_settings import TRANSITION_SETTINGS, connect_async, is_pooled
from outbox.relay import send_spans, unpublishable
from outbox.relay.capacity import Capacity
from outbox.relay.scan_cursor import Event, ScanCursor
from outbox.relay.unpublishable import Unpublishable
from outbox.store import transitions
from outbox.tracing.tracer import SendSpan, installed

log = structlog.get_logger(__name__)

LARGEST_BATCH = 1000
"""The most events of one queue in a batch."""

_LOCK = PreparedStatement("lock_events", transitions.LOCK_EVENTS)
_DELETE = PreparedStatement("delete_events", transitions.DELETE_EVENTS)
_DEFER = PreparedStatement("defer_events", transitions.DEFER_EVENTS)
_TRACES = PreparedStatement("traces_of", transitions.TRACES_OF)
_BEGIN, _COMMIT = plain("BEGIN ISOLATION LEVEL READ COMMITTED"), plain("COMMIT")


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch in flight, and the connection whose transaction holds its events."""

    database: AsyncConnection[Any]
    flawed: Sequence[Dispatch]
    sending: Sending[Dispatch]
    span: SendSpan | None


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
        locked = await lock(database, self._capacity, self._scan_cursor)
        self._capacity.spend(locked)
        if not locked:
            await database.execute("COMMIT")
            self._idle.append(database)
            return 0, None
        self._scan_cursor.advance(locked)
        dispatches = [event.dispatch for event in locked]
        flawed = [each for each in dispatches if flaw(each.kind, each.queue)]
        if flawed:
            dispatches = [each for each in dispatches if not flaw(each.kind, each.queue)]
        span = send_spans.of_jobs(dispatches)
        return len(locked), _Batch(database, flawed, await self._publisher.send(dispatches), span)

    async def _settle_last(self) -> None:
        batch, self._in_flight = self._in_flight, None
        if batch is None:
            return
        outcome = await self._publisher.outcome(batch.sending)
        refused = [*outcome.refused, *batch.flawed]
        if refused:
            log.warning("messages refused", count=len(refused), first=refused[0].message_id)
        self._unpublishable += await settle(batch.database, outcome.confirmed, refused, batch.span)
        send_spans.end(
            batch.span,
            len(batch.sending.messages),
            confirmed=len(outcome.confirmed),
            refused=len(outcome.refused),
            put_off=len(outcome.nacked),
        )
        self._idle.append(batch.database)
        _emit_published(outcome.confirmed)
        if is_measured(BatchConfirmed):
            _measure(batch.sending, outcome)
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


def _measure(sending: Sending[Dispatch], outcome: Outcome[Dispatch]) -> None:
    measure(
        BatchConfirmed(
            published=_by_queue(sending.messages),
            confirmed=_by_queue(outcome.confirmed),
            returned=_by_queue(outcome.refused),
            seconds=sending.seconds,
        )
    )


def _by_queue(dispatches: Sequence[Dispatch]) -> Counter[str]:
    return Counter(each.queue for each in dispatches)


@asynccontextmanager
async def open_database(database_url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """Open a connection for a pipeline. Raises psycopg's errors."""
    async with await connect_async(database_url, TRANSITION_SETTINGS) as database:
        if not is_pooled(database):
            own = (_LOCK, _DELETE, _DEFER, *([_TRACES] if installed() else []))
            await _execute(database, *(each.prepare for each in own))
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
    database: AsyncConnection[Any],
    confirmed: Sequence[Dispatch],
    refused: Sequence[Dispatch],
    span: SendSpan | None = None,
) -> Unpublishable:
    """Delete confirmed events, defer refused ones and commit; returns the unpublishable ones.

    A sampled span is linked to where the jobs were submitted.

    Those are deferred too, until their jobs are made dead; if the process dies before, they are
    tried again. Raises psycopg's errors: then nothing has changed, unless only the answer to the
    commit was lost.
    """
    is_linked = span is not None and span.is_sampled
    statements = [_TRACES.of(database, _ids(confirmed))] if is_linked else []
    if confirmed:
        statements.append(_DELETE.of(database, _keys(confirmed)))
    if refused:
        statements.append(_DEFER.of(database, _keys(refused)))
    answers = await _execute(database, *statements, _COMMIT)
    if span is not None and is_linked:
        span.link(row.trace for row in named_rows(database, answers[0]))
    return unpublishable.of(refused, named_rows(database, answers[-2])) if refused else []


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


def _ids(dispatches: Sequence[Dispatch]) -> dict[str, str]:
    return {"job_id": array(each.job_id for each in dispatches)}


def _keys(dispatches: Sequence[Dispatch]) -> dict[str, str]:
    return {
        "job_id": array(each.job_id for each in dispatches),
        "dispatch": array(each.dispatch for each in dispatches),
    }
