"""The relay: moves outbox events to RabbitMQ, as far as its queues have room.

It locks a batch (SKIP LOCKED, so any number of relays share the work without a leader), publishes
it, deletes what was confirmed, and commits. If it dies before the commit the rows are there for
the next relay, and a worker drops the second message of a dispatch. Nothing is locked while the
broker is away or blocked, but what was on its way, so an outage is no event's failure.
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

from outbox import batches, sequences, steps, topology
from outbox.link import connect
from outbox.mover import Mover
from outbox.pace import LEAST_SECONDS
from outbox.pauses import Pauses
from outbox.postgres import connect_async
from outbox.publisher import Publisher
from outbox.queues import Queues
from outbox.rooms import Rooms

log = structlog.get_logger(__name__)

IDLE_SECONDS = 0.5
"""How long an idle relay waits for a nudge before it looks by itself."""
FULL_SECONDS = 0.05
"""How long it waits for workers to make room."""
BREATH_SECONDS = 0.01
"""The longest pause after a small batch, in which the next one gathers: less work for each job."""
BREATH_PER_EVENT_SECONDS = 0.0005
"""At an easy pace a job seldom comes with others, and need not wait for them."""
NUDGED_SECONDS = LEAST_SECONDS + 0.001
"""How long a nudge is good for: what was committed so soon after it need not nudge again."""
SMALL_BATCH = 100
LOOK_SECONDS = 0.2
"""How often it looks at all there is, if that is quick."""
REST = 9
"""How many times as long as such a look took it goes without another."""
YIELD_SECONDS = 0.1
"""How long such a look may wait for a moment in which no event is expected, and held up by it."""
LONGEST_REST_SECONDS = 5
"""However long it took, the broker's silence included: new queues and lost messages wait for it."""


@dataclass(frozen=True, slots=True)
class _Ways:
    """What a run has open."""

    database: AsyncConnection[Any]
    queues: Queues
    rooms: Rooms
    mover: Mover


class Relay:
    """Publishes due events, highest priority first, keeping `window` messages in each queue.

    What no worker has claimed `patience` after its publication, and the broker does not hold any
    more, is published again: at most a window's worth, however long the backlog. A queue that the
    broker refuses, or that takes no messages, is left out for a while, and no other waits for it.
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
        self._next_look = self._next_search = 0.0
        self._pauses = Pauses()
        self._work = asyncio.Event()
        self._nudged_at = -math.inf
        self._stopping = False
        self.queues = set(queues)

    def nudge(self) -> None:
        """There is work: look at once, and again when what need not nudge is committed."""
        self._nudged_at = time.monotonic()
        self._work.set()

    def stop(self) -> None:
        """Settle what is on its way, then let `run` return."""
        self._stopping = True
        self._work.set()

    async def run(self) -> None:
        """Relay until stopped. Raises BrokerGone or psycopg's errors; call it again then."""
        if self._stopping:
            return
        async with (
            await connect_async(self._database_url) as database,
            batches.connect(self._database_url) as one,
            batches.connect(self._database_url) as other,
            connect(self._amqp_url) as link,
        ):
            await sequences.move_on(database)
            rooms = Rooms(self._window)
            mover = Mover([one, other], Publisher(link), self._pauses, rooms)
            ways = _Ways(database, Queues(link, self._pauses), rooms, mover)
            self._next_look, moved = 0.0, 0
            log.info("relay ready", queues=sorted(self.queues), window=self._window)
            while not self._stopping:
                self._work.clear()
                if not link.unblocked.is_set():
                    await mover.land()
                    link.check()
                    await self._pause(IDLE_SECONDS)
                    continue
                has_more = moved >= SMALL_BATCH or rooms.is_full
                expects = has_more or self._left_of_nudge > 0
                moved = await self._look(ways, expects=expects)
                await self._breathe(ways, moved, expects=expects)
            await mover.land()

    @property
    def _left_of_nudge(self) -> float:
        """How much longer the last nudge is good for, in seconds; none if not above 0."""
        return self._nudged_at + NUDGED_SECONDS - time.monotonic()

    async def _look(self, ways: "_Ways", *, expects: bool) -> int:
        """Move what is there; where nothing is expected, only if a cheaper look finds any."""
        began, mover = time.monotonic(), ways.mover
        looks_at_all = began >= self._next_look + (YIELD_SECONDS if expects else 0)
        if looks_at_all or not expects:
            mover.begin_anew()
            await mover.land()
        if looks_at_all or ways.rooms.is_lacking:
            await mover.land()  # or it would be neither in the queue nor on its way
            await self._measure(ways, discovers=looks_at_all)
        moved = 0
        if not ways.rooms.is_full and (expects or await mover.is_any_due()):
            moved = await mover.move()
        if looks_at_all:
            self._next_look = time.monotonic() + _rest(time.monotonic() - began)
        return moved

    async def _breathe(self, ways: "_Ways", moved: int, *, expects: bool) -> None:
        if moved:
            await self._let_more_gather(ways, moved)
            return
        if not ways.rooms.is_full:
            ways.mover.begin_anew()
        if not expects or (ways.rooms.is_full and self._left_of_nudge <= 0):
            await self._pause(FULL_SECONDS if ways.rooms.is_lacking else IDLE_SECONDS)
        elif not ways.rooms.is_lacking:
            await self._pause(self._left_of_nudge)
        else:
            await asyncio.sleep(BREATH_SECONDS)  # not until a nudge: that makes no room

    async def _let_more_gather(self, ways: "_Ways", moved: int) -> None:
        if ways.rooms.is_full:
            await ways.mover.land()
            await asyncio.sleep(BREATH_SECONDS if moved < SMALL_BATCH else FULL_SECONDS)
        elif moved < SMALL_BATCH:
            await asyncio.sleep(min(moved * BREATH_PER_EVENT_SECONDS, BREATH_SECONDS))
            await self._pause(self._left_of_nudge)

    async def _measure(self, ways: "_Ways", *, discovers: bool) -> None:
        """How much room each queue has; until the next time, what is published takes from it."""
        if discovers:
            await self._discover(ways.database)
        depths = await ways.queues.depths(filter(topology.is_name, self.queues))
        await self._redispatch_lost(ways.database, depths)
        impossible = (queue for queue in self.queues if not topology.is_name(queue))
        ways.rooms.measure(depths, impossible)

    async def _discover(self, database: AsyncConnection[Any]) -> None:
        found = await database.execute(steps.QUEUES_IN_USE)
        self.queues.update([queue async for (queue,) in found])

    async def _redispatch_lost(
        self, database: AsyncConnection[Any], depths: dict[str, int]
    ) -> None:
        """Now and then, publish again what was published and is nowhere: a broker was wiped."""
        if time.monotonic() < self._next_search:
            return
        self._next_search = time.monotonic() + min(self._patience.total_seconds() / 4, 5)
        asked = {
            "queues": list(depths),
            "depths": list(depths.values()),
            "patience_seconds": self._patience.total_seconds(),
        }
        lost = await database.execute(steps.REDISPATCH_LOST, asked)
        if lost.rowcount:
            log.info("unclaimed for long, to be published again", count=lost.rowcount)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._work.wait()


def _rest(took: float) -> float:
    """How long to go without a look after one that took so long, in seconds."""
    return min(max(LOOK_SECONDS, REST * took), LONGEST_REST_SECONDS)
