"""The relay's loop: publishes due outbox events, as far as RabbitMQ's queues have capacity.

It locks a batch (SKIP LOCKED, so any number of relays share the work without a leader), publishes
it, deletes what was confirmed, and commits. If it dies before the commit, the next relay publishes
the batch again, and a worker drops the duplicate message of a dispatch. While the broker is away or
blocked, nothing is locked beyond what was in flight, so an outage is no event's failure.
"""

import asyncio
import math
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from psycopg import AsyncConnection

from outbox.amqp import topology
from outbox.amqp.connection import connect
from outbox.amqp.publisher import Publisher
from outbox.amqp.queue_backoff import QueueBackoff
from outbox.amqp.queue_depths import Queues
from outbox.postgres.session_settings import connect_async
from outbox.relay import event_store
from outbox.relay.capacity import Capacity
from outbox.relay.pipeline import Pipeline
from outbox.store import sequences, transitions
from outbox.submission.rate_limit import INTERVAL_SECONDS

log = structlog.get_logger(__name__)

IDLE_POLL_SECONDS = 0.5
"""Poll interval of an idle relay that gets no wake-up."""
FULL_POLL_SECONDS = 0.05
"""Poll interval while workers have to free capacity."""
LINGER_SECONDS = 0.01
"""The longest linger after a small batch: the next one gathers, which costs less per job."""
LINGER_PER_EVENT_SECONDS = 0.0005
"""Linger for each event of the last batch. Under light load a job need not wait for others."""
WAKE_UP_LASTS_SECONDS = INTERVAL_SECONDS + 0.001
"""How long a wake-up counts. A job committed within that time may send none of its own."""
SMALL_BATCH = 100
SWEEP_SECONDS = 0.2
"""The shortest interval between two sweeps.

A sweep discovers queues, measures all of them, republishes lost messages, and starts at the oldest
event of each queue.
"""
PAUSE_PER_SWEEP = 9
"""The interval in durations of the last sweep: sweeps take at most a tenth of the time."""
SWEEP_DELAY_SECONDS = 0.1
"""How long a due sweep is postponed while events are expected, which would wait for it."""
LONGEST_SWEEP_INTERVAL_SECONDS = 5
"""The longest interval, even if a silent broker held the last sweep up.

New queues and lost messages wait for the next one.
"""


@dataclass(frozen=True, slots=True)
class _Resources:
    """What a run has open."""

    database: AsyncConnection[Any]
    queues: Queues
    capacity: Capacity
    pipeline: Pipeline


class Relay:
    """Publishes due events, highest priority first, keeping `window` messages in each queue.

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
    ) -> None:
        self._database_url = database_url
        self._amqp_url = amqp_url
        self._window = window
        self._patience = patience
        self._next_sweep = self._next_search = 0.0
        self._queue_backoff = QueueBackoff()
        self._woken = asyncio.Event()
        self._woken_at = -math.inf
        self._stopping = False
        self.queues = set(queues)

    def wake_up(self) -> None:
        """Poll at once, and again for what commits soon after without a wake-up of its own."""
        self._woken_at = time.monotonic()
        self._woken.set()

    def stop(self) -> None:
        """Settle what is in flight, then let `run` return."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Relay until stopped. Raises BrokerGone or psycopg's errors; call it again then."""
        if self._stopping:
            return
        async with (
            await connect_async(self._database_url) as database,
            event_store.connect(self._database_url) as one,
            event_store.connect(self._database_url) as other,
            connect(self._amqp_url) as broker,
        ):
            await sequences.advance_async(database)
            capacity = Capacity(self._window)
            pipeline = Pipeline([one, other], Publisher(broker), self._queue_backoff, capacity)
            opened = _Resources(database, Queues(broker, self._queue_backoff), capacity, pipeline)
            self._next_sweep, taken = 0.0, 0
            log.info("relay ready", queues=sorted(self.queues), window=self._window)
            while not self._stopping:
                self._woken.clear()
                if not broker.unblocked.is_set():
                    await pipeline.drain()
                    broker.check()
                    await self._wait_for_wake_up(IDLE_POLL_SECONDS)
                    continue
                has_more = taken >= SMALL_BATCH or capacity.is_full
                expects = has_more or self._wake_up_left > 0
                taken = await self._poll(opened, expects=expects)
                await self._wait_for_next_poll(opened, taken, expects=expects)
            await pipeline.drain()

    @property
    def _wake_up_left(self) -> float:
        """How many seconds longer the last wake-up counts; it has expired if not above 0."""
        return self._woken_at + WAKE_UP_LASTS_SECONDS - time.monotonic()

    async def _poll(self, opened: "_Resources", *, expects: bool) -> int:
        """Poll once; returns how many events were taken.

        If none is expected, a cheaper query first checks whether any is due.
        """
        began, pipeline = time.monotonic(), opened.pipeline
        sweeps = began >= self._next_sweep + (SWEEP_DELAY_SECONDS if expects else 0)
        if sweeps or not expects:
            pipeline.restart_scan()
            await pipeline.drain()
        if sweeps or opened.capacity.is_short:
            await pipeline.drain()  # or a message could count neither as queued nor as in flight
            await self._measure(opened, discovers=sweeps)
        taken = 0
        if not opened.capacity.is_full and (expects or await pipeline.is_any_due()):
            taken = await pipeline.move()
        if sweeps:
            self._next_sweep = time.monotonic() + _sweep_interval(time.monotonic() - began)
        return taken

    async def _wait_for_next_poll(self, opened: "_Resources", taken: int, *, expects: bool) -> None:
        """Wait until the next poll is due."""
        if taken:
            await self._linger(opened, taken)
            return
        if not opened.capacity.is_full:
            opened.pipeline.restart_scan()
        if not expects or (opened.capacity.is_full and self._wake_up_left <= 0):
            await self._wait_for_wake_up(
                FULL_POLL_SECONDS if opened.capacity.is_short else IDLE_POLL_SECONDS
            )
        elif not opened.capacity.is_short:
            await self._wait_for_wake_up(self._wake_up_left)
        else:
            await asyncio.sleep(LINGER_SECONDS)  # a wake-up would free no capacity

    async def _linger(self, opened: "_Resources", taken: int) -> None:
        """Let the next batch gather."""
        if opened.capacity.is_full:
            await opened.pipeline.drain()
            await asyncio.sleep(LINGER_SECONDS if taken < SMALL_BATCH else FULL_POLL_SECONDS)
        elif taken < SMALL_BATCH:
            await asyncio.sleep(min(taken * LINGER_PER_EVENT_SECONDS, LINGER_SECONDS))
            await self._wait_for_wake_up(self._wake_up_left)

    async def _measure(self, opened: "_Resources", *, discovers: bool) -> None:
        """Measure each queue's capacity; until the next time, what is published is deducted."""
        if discovers:
            await self._discover(opened.database)
        depths = await opened.queues.depths(filter(topology.is_name, self.queues))
        await self._redispatch_lost(opened.database, depths)
        impossible = (queue for queue in self.queues if not topology.is_name(queue))
        opened.capacity.measure(depths, impossible)

    async def _discover(self, database: AsyncConnection[Any]) -> None:
        found = await database.execute(transitions.QUEUES_IN_USE)
        self.queues.update([queue async for (queue,) in found])

    async def _redispatch_lost(
        self, database: AsyncConnection[Any], depths: dict[str, int]
    ) -> None:
        """Now and then, republish the messages that the broker has lost, as when it was wiped."""
        if time.monotonic() < self._next_search:
            return
        self._next_search = time.monotonic() + min(self._patience.total_seconds() / 4, 5)
        asked = {
            "queues": list(depths),
            "depths": list(depths.values()),
            "patience_seconds": self._patience.total_seconds(),
        }
        lost = await database.execute(transitions.REDISPATCH_LOST, asked)
        if lost.rowcount:
            log.info("unclaimed for long, to be published again", count=lost.rowcount)

    async def _wait_for_wake_up(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()


def _sweep_interval(took: float) -> float:
    """How many seconds to wait for the next sweep after one that took so long."""
    return min(max(SWEEP_SECONDS, PAUSE_PER_SWEEP * took), LONGEST_SWEEP_INTERVAL_SECONDS)
