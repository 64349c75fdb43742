"""The relay's loop: publishes due outbox events, as far as RabbitMQ's queues have capacity.

`poll_policy` decides when it polls and what a poll does; the loop does it.

It locks a batch (SKIP LOCKED, so any number of relays share the work without a leader), publishes
it, deletes what was confirmed, and commits. If it dies before the commit, the next relay publishes
the batch again, and a worker drops the duplicate message of a dispatch. While the broker is away or
blocked, nothing is locked beyond what was in flight, so an outage is no event's failure.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from psycopg import AsyncConnection

from outbox.amqp import messages, topology
from outbox.amqp.connection import BrokerConnection, connect
from outbox.amqp.publisher import Publisher
from outbox.amqp.queue_backoff import QueueBackoff
from outbox.amqp.queue_depths import Queues
from outbox.listeners import measures
from outbox.listeners.measures import Blocked, Redispatched
from outbox.postgres.session_settings import connect_async
from outbox.relay.capacity import Capacity, Room
from outbox.relay.pipeline import Pipeline, open_database
from outbox.relay.poll_policy import Poll, PollPolicy
from outbox.relay.reached import reached, telling_losses
from outbox.store import sequences, transitions

log = structlog.get_logger(__name__)

LONGEST_SEARCH_INTERVAL_SECONDS = 5
"""The longest interval between two searches for messages that the broker has lost."""


OnSweep = Callable[[AsyncConnection[Any]], Awaitable[None]]
"""Looks for something else than events, on the relay's connection."""


async def _nothing(_: AsyncConnection[Any]) -> None:
    """There is nothing else to look for."""


@dataclass(frozen=True, slots=True)
class _Resources:
    """What a run has open."""

    database: AsyncConnection[Any]
    broker: BrokerConnection
    queues: Queues
    capacity: Capacity
    pipeline: Pipeline


class Relay:
    """Publishes due events, highest priority first, keeping `window` messages in each queue.

    Of a queue that is paused it publishes nothing, from its start on, and within a second of the
    act. It learns that in the sweeps that find queues.

    A job that no worker has claimed `patience` after its publication, and whose message the broker
    no longer holds, is published again: at most a window's worth, however long the backlog. A queue
    that the broker refuses, or that takes no messages, backs off; no other waits for it.
    """

    def __init__(
        self,
        database_url: str,
        amqp_url: str,
        queues: Iterable[str],
        *,
        window: int,
        patience: timedelta,
        on_sweep: OnSweep = _nothing,
    ) -> None:
        self._on_sweep = on_sweep
        self._database_url = database_url
        self._amqp_url = amqp_url
        self._window = window
        self._patience = patience
        self._queue_backoff = QueueBackoff()
        self._policy = PollPolicy(
            min(patience.total_seconds() / 4, LONGEST_SEARCH_INTERVAL_SECONDS)
        )
        self._interrupted = asyncio.Event()
        self._stopping = False
        self._paused: set[str] = set()
        self.queues = set(queues)
        self.depths: Mapping[str, int] = {}
        """How many messages each queue had when it was measured last."""

    def wake_up(self) -> None:
        """Poll soon, and again for what commits shortly after without a wake-up of its own."""
        self._policy.wake_up(time.monotonic())
        self._interrupted.set()

    def look_at_queues(self) -> None:
        """Look at once which queues there are, and which are paused."""
        self._policy.sweep()
        self._interrupted.set()

    def stop(self) -> None:
        """Settle what is in flight, then let `run` return."""
        self._stopping = True
        self._interrupted.set()

    async def run(self) -> None:
        """Relay until stopped. Raises BrokerGone or psycopg's errors; call it again then."""
        if self._stopping:
            return
        self._policy.restart()
        with telling_losses():
            await self._run()

    async def _run(self) -> None:
        async with self._open() as opened:
            await sequences.advance_async(opened.database)
            log.info("relay ready", queues=sorted(self.queues), window=self._window)
            while not self._stopping:
                await self._poll(opened)
                opened.broker.check()
                await self._wait_for_next_poll()
            await opened.pipeline.drain()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator["_Resources"]:
        async with (
            await connect_async(self._database_url) as database,
            open_database(self._database_url) as one,
            open_database(self._database_url) as other,
        ):
            reached("postgres")
            async with connect(self._amqp_url) as broker:
                reached("broker")
                capacity = Capacity(self._window)
                pipeline = Pipeline(
                    [one, other], Publisher(broker, messages.frames), self._queue_backoff, capacity
                )
                queues = Queues(broker, self._queue_backoff)
                yield _Resources(database, broker, queues, capacity, pipeline)

    async def _poll(self, opened: "_Resources") -> int:
        """Measure the queues if that is due, then publish a batch, unless the broker is blocked.

        Returns how many events were taken.
        """
        is_blocked = not opened.broker.unblocked.is_set()
        if measures.is_wanted(Blocked):
            measures.emit(Blocked(is_blocked=is_blocked))
        if is_blocked:
            await opened.pipeline.drain()
            self._policy.blocked(time.monotonic())
            return 0
        poll = self._policy.begin(time.monotonic(), opened.capacity.room)
        if poll.measures:
            await opened.pipeline.drain()  # or a message could be neither queued nor in flight
            await self._measure(opened, poll)
            self._policy.measured(poll, time.monotonic())
        taken = await self._publish(opened, restarts=poll.restarts)
        self._policy.end(time.monotonic(), taken, opened.capacity.room)
        return taken

    async def _publish(self, opened: "_Resources", *, restarts: bool) -> int:
        """Publish a batch if there is room; returns how many events it has."""
        taken = 0
        if opened.capacity.room is not Room.NONE:
            if restarts:
                opened.pipeline.restart_scan()
            taken = await opened.pipeline.move()
        if opened.capacity.room is Room.NONE:
            await opened.pipeline.drain()  # the next poll may be far
        return taken

    async def _measure(self, opened: "_Resources", poll: Poll) -> None:
        """Measure each queue's capacity; until the next time, what is published is deducted."""
        if poll.sweeps:
            await self._discover(opened.database)
        served = self.queues - self._paused
        self.depths = depths = await opened.queues.depths(filter(topology.is_name, served))
        if poll.searches:
            await self._redispatch_lost(opened.database, depths)
        impossible = (queue for queue in served if not topology.is_name(queue))
        opened.capacity.measure(depths, impossible)

    async def _discover(self, database: AsyncConnection[Any]) -> None:
        found = await (await database.execute(transitions.QUEUES_IN_USE)).fetchall()
        self.queues.update(queue for queue, _ in found)
        paused = {queue for queue, is_paused in found if is_paused}
        if paused != self._paused:
            self._paused = paused
            log.info("paused queues changed", queues=sorted(paused))
        await self._on_sweep(database)

    async def _redispatch_lost(
        self, database: AsyncConnection[Any], depths: dict[str, int]
    ) -> None:
        """Republish the messages that the broker has lost, as when it was wiped."""
        asked = {
            "queues": list(depths),
            "depths": list(depths.values()),
            "patience_seconds": self._patience.total_seconds(),
        }
        lost = await (await database.execute(transitions.REDISPATCH_LOST, asked)).fetchall()
        if lost:
            log.info("unclaimed for long, to be published again", count=len(lost))
        for queue, jobs in Counter(queue for _, queue in lost).items():
            measures.emit(Redispatched(queue=queue, jobs=jobs))

    async def _wait_for_next_poll(self) -> None:
        """Wait until the policy's moment, which a wake-up may bring forward, or `stop`."""
        while not self._stopping and (left := self._policy.next_poll - time.monotonic()) > 0:
            self._interrupted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._interrupted.wait()
