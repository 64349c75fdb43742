"""Admits jobs with keys, so that the relay publishes them."""

import asyncio
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress

from outbox.kinds import Kinds
from outbox.listeners import measures
from outbox.listeners.measures import HeldBack
from outbox.relay.admission import round as one_round
from outbox.relay.admission import statements
from outbox.relay.admission.admission_window import AdmissionWindow
from outbox.relay.admission.decision import Waiting, open_ones
from outbox.relay.admission.fair_shares import FairShares, Shares
from outbox.relay.admission.key_cursor import KeyCursor
from outbox.relay.admission.limits import Limits
from outbox.relay.admission.pauses import POLL_SECONDS, Pauses, Round
from outbox.relay.admission.permits import ClosedKeys
from outbox.relay.admission.statements import Database

MOST_AT_ONCE = 1000
"""The most kinds and keys that one round decides about: each key with a limit is locked."""
MOST_COUNTED = 4000
"""About how many due events one scan counts."""


class Admitter:
    """Decides which jobs with keys the relay publishes next. Any number may work at once.

    Each skips the keys that another has locked. If the process dies after an admission, every relay
    publishes what was admitted. Without kinds that have keys, it only looks whether there are
    events with keys, once a second.
    """

    def __init__(
        self,
        database_url: str,
        kinds: Kinds,
        window: int,
        on_admission: Callable[[], None],
        depth_of: Callable[[str], int | None],
    ) -> None:
        self._depth_of = depth_of
        self._database_url = database_url
        self._limits = Limits(kinds)
        self._shares: Shares = defaultdict(FairShares)
        self._window = AdmissionWindow(window)
        self._cursor = KeyCursor()
        self._on_admission = on_admission
        self._is_used = any(kind.keys for kind in kinds.values())
        self._is_wanted = asyncio.Event()
        self._pauses = Pauses()
        self._closed = ClosedKeys()
        self._limits_read_at = -math.inf
        self._found: Counter[str] = Counter()

    def wake_up(self) -> None:
        """Admit soon: jobs with keys were submitted, or have ended."""
        if self._is_used:
            self._is_wanted.set()

    def limits_changed(self) -> None:
        """Read the limits that people have set again, and admit soon: one was set or cleared."""
        self._limits_read_at = -math.inf
        self.wake_up()

    async def run(self) -> None:
        """Admit for ever. Raises psycopg's errors; call it again then."""
        async with statements.connect(self._database_url) as database:
            while True:
                self._is_wanted.clear()
                self._is_used = self._is_used or await one_round.is_wanted(database)
                shortest, longest = POLL_SECONDS, POLL_SECONDS
                if self._is_used:
                    shortest, longest = self._pauses.after(await self.admit(database))
                await asyncio.sleep(shortest)
                await self._wait(longest - shortest)

    async def admit(self, database: Database) -> Round:
        """One round: admit what may start now."""
        began = time.monotonic()
        await self._read_limits(database, began)
        state = await one_round.look(database, self._limits, self._shares)
        now = time.monotonic()
        rooms = {
            queue: self._window.room(
                *(queue, state.unclaimed[queue], state.running[queue], now),
                *(self._depth_of(queue), state.late[queue]),
            )
            for queue in state.queues
        }
        free = {queue: room for queue, room in rooms.items() if room}
        due = await self._scan(database, free, state.held, now) if free else {}
        admitted = await self._admit(database, due, rooms)
        self._tell_of_held_back(admitted)
        left = [room - admitted[queue] for queue, room in rooms.items()]
        return Round(
            seconds=time.monotonic() - began,
            found=len(due),
            goes_on=any(left) and not self._cursor.is_at_the_end,
            is_full=not all(left),
            permit_in=self._closed.next_opening(now) - time.monotonic(),
        )

    async def _read_limits(self, database: Database, now: float) -> None:
        """Read what people have set, unless that was done lately."""
        if now - self._limits_read_at >= POLL_SECONDS:
            is_told = self._limits_read_at == -math.inf
            self._limits_read_at = now
            if await one_round.read_limits(database, self._limits) or is_told:
                self._closed.open_all()

    async def _admit(
        self, database: Database, due: Mapping[Waiting, int], rooms: Mapping[str, int]
    ) -> Counter[str]:
        """Admit from what is due; returns how many of each queue."""
        admitted = await one_round.admit(database, due, rooms, self._limits, self._shares)
        if counts := admitted.counts:
            self._on_admission()
        for queue, room in rooms.items():
            self._window.admitted(queue, counts[queue], is_full=counts[queue] >= room)
        now = time.monotonic()
        for key, seconds in admitted.closed.items():
            self._closed.close(key, now + seconds)
        return counts

    async def _scan(
        self, database: Database, rooms: Mapping[str, int], held: Mapping[str, int], now: float
    ) -> dict[Waiting, int]:
        """What is due whose keys are not full and have permits, as far as known by `now`.

        Of more than one round can decide about, a part.
        """
        most = max(MOST_COUNTED // self._cursor.found, 1)
        found = await one_round.scan(database, self._cursor, rooms, self._limits, most)
        waiting = [
            each
            for each in open_ones(found, self._limits, held)
            if each.queue in rooms
            and self._closed.is_open(self._limits.rates(each.kind, each.keys), now)
        ]
        self._found = _by_queue(found) if measures.is_wanted(HeldBack) else Counter()
        self._cursor.aim(len(waiting), max(rooms.values()))
        return {each: found[each] for each in waiting[:MOST_AT_ONCE]}

    def _tell_of_held_back(self, admitted: Mapping[str, int]) -> None:
        found, self._found = self._found, Counter()
        for queue, jobs in found.items():
            if held_back := jobs - admitted[queue]:
                measures.emit(HeldBack(queue=queue, jobs=held_back))

    async def _wait(self, seconds: float) -> None:
        """Wait for a wake-up, for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_wanted.wait()


def _by_queue(found: Mapping[Waiting, int]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for each, jobs in found.items():
        counts[each.queue] += jobs
    return counts
