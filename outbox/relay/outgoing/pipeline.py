"""Sends batches of messages: one is on its way while Postgres settles the one before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from psycopg import AsyncConnection

from outbox.amqp.connection import BrokerGone
from outbox.relay import send_spans
from outbox.relay.outgoing import store, unsendable
from outbox.relay.outgoing.exchanges import Batch, Exchanges
from outbox.relay.unpublishable import FAILURES_ALLOWED
from outbox.tracing.tracer import SendSpan

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A batch in flight, and the connection whose transaction holds its messages."""

    database: AsyncConnection[Any]
    batch: Batch
    count: int
    span: SendSpan | None


class Pipeline:
    """Sends messages in the order of their positions.

    If the process dies or Postgres goes away, what is in flight stays locked until its connections
    end; the next relay sends it again, with the same message ids. If RabbitMQ goes away, what it
    has confirmed is settled, and the rest is sent again.
    """

    def __init__(self, databases: Sequence[AsyncConnection[Any]], exchanges: Exchanges) -> None:
        self._idle = list(databases)
        self._exchanges = exchanges
        self._in_flight: _InFlight | None = None
        self._after = store.FROM_THE_START

    def restart_scan(self) -> None:
        """Let the next batch begin at the oldest message."""
        self._after = store.FROM_THE_START

    async def move(self) -> int:
        """Send a batch and settle the previous one; returns how many messages were taken.

        The batch stays in flight until the next or `drain`. Raises BrokerGone or psycopg's errors.
        """
        try:
            locked, sent = await self._send()
        except BrokerGone:
            await self.drain()  # the broker may have confirmed all of it
            raise
        await self.drain()
        self._in_flight = sent
        if locked.is_cut:
            await self.drain()
        return len(locked.messages)

    async def drain(self) -> None:
        """Settle what is in flight, so that no message is locked. Raises as `move`."""
        sent, self._in_flight = self._in_flight, None
        if sent is None:
            return
        outcome = await self._exchanges.outcome(sent.batch)
        refused = [message for message, _ in outcome.refused]
        if refused:
            first, why = outcome.refused[0]
            log.warning(
                "messages to other services refused", count=len(refused), first=first.id, why=why
            )
        failures = await store.settle(sent.database, outcome.confirmed, refused, outcome.put_off)
        send_spans.end(
            sent.span,
            sent.count,
            confirmed=len(outcome.confirmed),
            refused=len(refused),
            put_off=len(outcome.put_off),
        )
        self._idle.append(sent.database)
        for message, why in outcome.refused:
            if failures[message.id] >= FAILURES_ALLOWED:
                await unsendable.bury(sent.database, message, why)

    async def _send(self) -> tuple[store.Locked, _InFlight | None]:
        database = self._idle.pop()
        locked = await store.lock(database, self._after)
        self._after = locked.after
        if not locked.messages:
            await database.execute("COMMIT")
            self._idle.append(database)
            return locked, None
        span, count = send_spans.of_messages(locked.messages), len(locked.messages)
        batch = await self._exchanges.send(locked.messages)
        return locked, _InFlight(database, batch, count, span)
