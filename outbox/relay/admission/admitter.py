"""Admits jobs with keys, so that the relay publishes them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from psycopg import AsyncConnection

from outbox.kinds import Kinds
from outbox.postgres.session_settings import READ_COMMITTED, connect_async
from outbox.relay.admission import round as one_round
from outbox.relay.admission.admission_window import AdmissionWindow
from outbox.relay.admission.decision import open_ones
from outbox.relay.admission.fair_shares import FairShares, Shares
from outbox.relay.admission.key_cursor import KeyCursor
from outbox.relay.admission.limits import Limits

POLL_SECONDS = 1.0
FULL_POLL_SECONDS = 0.1
"""The same while jobs wait because others, which were admitted before, have not begun."""
INTERVAL_SECONDS = 0.01
"""The least time between two rounds; a round that took longer is followed by as long a pause."""

MOST_AT_ONCE = 1000
"""The most kinds and keys that one round decides about: each key with a limit is locked."""

SETTINGS = READ_COMMITTED | {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""Each statement finds its rows by an index, also while the tables are small."""


class Admitter:
    """Decides which jobs with keys the relay publishes next. Any number may work at once.

    Each skips the keys that another has locked. If the process dies after an admission, every relay
    publishes what was admitted. Without kinds that have keys, it only looks whether there are
    events with keys, once a second.
    """

    def __init__(
        self, database_url: str, kinds: Kinds, window: int, on_admission: Callable[[], None]
    ) -> None:
        self._database_url = database_url
        self._limits = Limits(kinds)
        self._shares: Shares = defaultdict(FairShares)
        self._window = AdmissionWindow(window)
        self._cursor = KeyCursor()
        self._on_admission = on_admission
        self._is_used = any(kind.keys for kind in kinds.values())
        self._is_wanted = asyncio.Event()
        self._pause = POLL_SECONDS

    def wake_up(self) -> None:
        """Admit soon: jobs were submitted, or some that had keys have ended."""
        if self._is_used:
            self._is_wanted.set()

    async def run(self) -> None:
        """Admit for ever. Raises psycopg's errors; call it again then."""
        async with await connect_async(self._database_url, SETTINGS) as database:
            while True:
                self._is_wanted.clear()
                began = time.monotonic()
                await self.admit(database)
                await asyncio.sleep(max(INTERVAL_SECONDS, time.monotonic() - began))
                await self._wait()

    async def admit(self, database: AsyncConnection[Any]) -> int:
        """One round: admit what may start now; returns how many jobs."""
        self._pause = POLL_SECONDS
        queues = await one_round.queues(database)
        if queues:
            self._is_used = True
        elif not self._is_used:
            return 0
        await one_round.sweep(database, self._limits, self._shares)
        if not queues:
            return 0
        holders = await one_round.holders(database, self._limits)
        now = time.monotonic()
        rooms = {each: self._window.room(each, holders.unclaimed[each], now) for each in queues}
        return await self._admit(database, rooms, holders.held)

    async def _admit(
        self, database: AsyncConnection[Any], rooms: Mapping[str, int], held: Mapping[str, int]
    ) -> int:
        free = {queue: room for queue, room in rooms.items() if room}
        found = await one_round.scan(database, self._cursor, free) if free else []
        waiting = [each for each in open_ones(found, self._limits, held) if each.queue in free]
        admitted = await one_round.admit(
            database, waiting[:MOST_AT_ONCE], free, self._limits, self._shares
        )
        for queue, room in rooms.items():
            self._window.admitted(queue, is_full=admitted[queue] >= room)
        if admitted:
            self._on_admission()
        if admitted or not self._cursor.is_at_the_end:
            self._pause = 0
        elif len(free) < len(rooms):
            self._pause = FULL_POLL_SECONDS
        return admitted.total()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._pause):
                await self._is_wanted.wait()
        except TimeoutError:
            return
