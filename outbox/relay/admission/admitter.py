"""Admits jobs with keys, so that the relay publishes them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

from outbox.kinds import Kinds
from outbox.relay.admission import round as one_round
from outbox.relay.admission import statements
from outbox.relay.admission.admission_window import AdmissionWindow
from outbox.relay.admission.decision import Waiting, open_ones
from outbox.relay.admission.fair_shares import FairShares, Shares
from outbox.relay.admission.key_cursor import KeyCursor
from outbox.relay.admission.limits import Limits
from outbox.relay.admission.statements import Database

POLL_SECONDS = 1.0
FULL_POLL_SECONDS = 0.1
"""The same while jobs wait because others, which were admitted before, have not begun."""
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.05
"""The pause after a round is twice as long as the round was, within these bounds."""
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
        """Admit soon: jobs with keys were submitted, or have ended."""
        if self._is_used:
            self._is_wanted.set()

    async def run(self) -> None:
        """Admit for ever. Raises psycopg's errors; call it again then."""
        async with statements.connect(self._database_url) as database:
            while True:
                self._is_wanted.clear()
                began = time.monotonic()
                self._is_used = self._is_used or await one_round.is_wanted(database)
                if self._is_used:
                    await self.admit(database)
                took = time.monotonic() - began
                await asyncio.sleep(_pause(took))
                await self._wait()

    async def admit(self, database: Database) -> int:
        """One round: admit what may start now; returns how many jobs."""
        state = await one_round.look(database, self._limits, self._shares)
        now = time.monotonic()
        rooms = {
            queue: self._window.room(queue, state.unclaimed[queue], state.running[queue], now)
            for queue in state.queues
        }
        return await self._admit(database, rooms, state.held)

    async def _admit(
        self, database: Database, rooms: Mapping[str, int], held: Mapping[str, int]
    ) -> int:
        free = {queue: room for queue, room in rooms.items() if room}
        due = await self._scan(database, free, held) if free else {}
        admitted = await one_round.admit(database, due, free, self._limits, self._shares)
        if admitted:
            self._on_admission()
        full = [queue for queue, room in rooms.items() if admitted[queue] >= room]
        for queue in rooms:
            self._window.admitted(queue, admitted[queue], is_full=queue in full)
        self._choose_pause(is_full=bool(full))
        return admitted.total()

    async def _scan(
        self, database: Database, rooms: Mapping[str, int], held: Mapping[str, int]
    ) -> dict[Waiting, int]:
        """What is due whose keys are not full; of more than one round can decide about, a part."""
        most = max(MOST_COUNTED // self._cursor.found, 1)
        found = await one_round.scan(database, self._cursor, rooms, self._limits, most)
        waiting = [each for each in open_ones(found, self._limits, held) if each.queue in rooms]
        self._cursor.aim(len(waiting), max(rooms.values()))
        return {each: found[each] for each in waiting[:MOST_AT_ONCE]}

    def _choose_pause(self, *, is_full: bool) -> None:
        if not self._cursor.is_at_the_end:
            self._pause = 0.0
        else:
            self._pause = FULL_POLL_SECONDS if is_full else POLL_SECONDS

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._pause):
                await self._is_wanted.wait()
        except TimeoutError:
            return


def _pause(took: float) -> float:
    """How long after a round of that length no other begins."""
    return min(max(2 * took, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
