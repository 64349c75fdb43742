"""The loop that sends messages to other services.

It sleeps until the relay's sweep has found the first message, so an app that publishes none pays
one probe for each sweep. From then on it polls by itself.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from psycopg import AsyncConnection

from outbox.amqp.connection import BrokerConnection, connect
from outbox.postgres.session_settings import connect_async
from outbox.relay.capacity import Room
from outbox.relay.outgoing import store
from outbox.relay.outgoing.exchanges import Exchanges
from outbox.relay.outgoing.pipeline import Pipeline
from outbox.relay.poll_policy import PollPolicy
from outbox.store import sequences, transitions

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Resources:
    """What a run has open."""

    broker: BrokerConnection
    exchanges: Exchanges
    pipeline: Pipeline


class OutgoingMessages:
    """Sends what is due, in order. Any number of relays share the work.

    What it locks is sent, kept as sent once confirmed, and committed. If it dies before the commit,
    another sends the batch again. While the broker is away or blocked, nothing is locked beyond
    what was in flight, so an outage is no message's failure.
    """

    def __init__(self, database_url: str, amqp_url: str) -> None:
        self._database_url = database_url
        self._amqp_url = amqp_url
        self._wanted = asyncio.Event()
        self._policy = PollPolicy(search_seconds=0)
        self._interrupted = asyncio.Event()
        self._stopping = False

    async def look(self, database: AsyncConnection[Any]) -> None:
        """See whether there is a first message. Raises psycopg's errors."""
        if not self._wanted.is_set():
            found = await database.execute(transitions.MESSAGES_WAIT)
            if await found.fetchone() is not None:
                self._wanted.set()

    def wake_up(self) -> None:
        """Poll soon, and again for what commits shortly after without a wake-up of its own."""
        self._policy.wake_up(time.monotonic())
        self._interrupted.set()

    def stop(self) -> None:
        """Settle what is in flight, then let `run` return."""
        self._stopping = True
        self._wanted.set()
        self._interrupted.set()

    async def run(self) -> None:
        """Send until stopped. Raises BrokerGone or psycopg's errors; call it again then."""
        await self._wanted.wait()
        if self._stopping:
            return
        self._policy.restart()
        async with self._open() as opened:
            log.info("messages to other services are sent")
            while not self._stopping:
                await self._poll(opened)
                opened.broker.check()
                await self._wait_for_next_poll()
            await opened.pipeline.drain()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[_Resources]:
        async with await connect_async(self._database_url) as database:
            await sequences.advance_async(database)
        async with (
            store.connect(self._database_url) as one,
            store.connect(self._database_url) as other,
            connect(self._amqp_url) as broker,
        ):
            exchanges = Exchanges(broker)
            yield _Resources(broker, exchanges, Pipeline([one, other], exchanges))

    async def _poll(self, opened: _Resources) -> None:
        if not opened.broker.unblocked.is_set():
            await opened.pipeline.drain()
            self._policy.blocked(time.monotonic())
            return
        poll = self._policy.begin(time.monotonic(), Room.ENOUGH)
        if poll.sweeps:
            self._policy.measured(poll, time.monotonic())
        if poll.restarts:
            opened.pipeline.restart_scan()
        taken = await opened.pipeline.move()
        if not taken:
            opened.exchanges.trim()
        self._policy.end(time.monotonic(), taken, Room.ENOUGH)

    async def _wait_for_next_poll(self) -> None:
        """Wait until the policy's moment, which a wake-up may bring forward, or `stop`."""
        while not self._stopping and (left := self._policy.next_poll - time.monotonic()) > 0:
            self._interrupted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._interrupted.wait()
