"""When the next round of admission begins: rules without a clock, an event loop or I/O."""

import math
from dataclasses import dataclass

SHORTEST_SECONDS, LONGEST_SECONDS = 0.005, 0.05
"""The pause after a round is twice as long as the round was, within these bounds, or as long."""
POLL_SECONDS = 1.0
"""The interval of rounds while nothing wakes the relay."""
FULL_POLL_SECONDS = 0.1
"""The same while jobs wait because others, which were admitted before, have not begun."""
PERMIT_POLL_SECONDS = 0.05
"""The shortest one while jobs wait for a permit of their key."""
PAUSE_PER_SEARCH, LONGEST_POLL_SECONDS = 9, 5.0
"""The interval in durations of a search that found nothing, and the longest one."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did, and how long it took."""

    seconds: float
    found: int
    """The kinds and keys that were due and below their limits."""
    goes_on: bool
    """Whether there are more keys to look at, and room for their jobs."""
    is_full: bool
    """Whether a queue takes no more."""
    permit_in: float = math.inf
    """In how many seconds the next key has a permit, of those that had none."""


class Pauses:
    """Decides when the next round begins: told of each round.

    - After each, none begins for a while, so that rounds take a third of the time at most, or half
      of it where they only look for due jobs.
    - A round that leaves room, and has not come to the last key, is followed by another.
    - A search through all keys that found nothing, as where all are for later, takes a tenth of the
      time, as far as that delays nothing by more than LONGEST_POLL_SECONDS. A wake-up begins
      another at once.
    - Where keys have no permit, the next round begins once one of them has. So searches for permits
      take a tenth of the time, too, as far as that delays nothing by more than POLL_SECONDS.
    """

    def __init__(self) -> None:
        self._searched = 0.0
        self._found = 0

    def after(self, last: Round) -> tuple[float, float]:
        """How long after this round the next one begins: if there is a wake-up, and if not."""
        if not last.is_full:
            self._searched += last.seconds
        self._found += last.found
        until_permit = self._until_permit(last)
        pause = 2 * last.seconds if last.found else last.seconds
        shortest = min(max(pause, SHORTEST_SECONDS), LONGEST_SECONDS)
        return shortest, max(shortest, min(self._longest(last), until_permit))

    def _until_permit(self, last: Round) -> float:
        least = min(PAUSE_PER_SEARCH * self._searched, POLL_SECONDS)
        return max(last.permit_in, least, PERMIT_POLL_SECONDS)

    def _longest(self, last: Round) -> float:
        if last.goes_on:
            return 0.0
        if last.is_full:
            return FULL_POLL_SECONDS
        searched, found = self._searched, self._found
        self._searched = self._found = 0
        if found:
            return POLL_SECONDS
        return min(max(PAUSE_PER_SEARCH * searched, POLL_SECONDS), LONGEST_POLL_SECONDS)
