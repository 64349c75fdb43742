"""How many admitted jobs of a queue may wait for a worker."""

import math
from dataclasses import dataclass

START = 16
"""The window of a queue that nothing is known of."""
AHEAD_SECONDS, LONGEST_AHEAD_SECONDS = 0.05, 0.5
"""What begins within so long is admitted; where rounds are rare, what begins between two."""
FURTHEST_SECONDS = 1.0
"""A window does not grow past what begins within so long."""
MEAN_SECONDS = 0.5
"""Over about how long the rate of beginnings is taken."""


@dataclass(slots=True)
class _Queue:
    size: int
    looked_at: float
    unclaimed: int = 0
    """At the last look, with what was admitted then."""
    rate: float = 0.0
    """How many jobs began in a second."""
    interval: float = 0.0
    """The mean time between two looks."""
    was_full: bool = False


class AdmissionWindow:
    """Keeps what is admitted and has not begun to what begins within some 100 ms.

    So another key's job finds few ahead of it, whatever a key's backlog. A window that was full and
    is found empty doubles, up to `most`. One in which jobs wait gets the size that their rate asks
    for, but one less than there are jobs running: within their longest run each of these ends, so
    a job that comes next has begun by then. All of it is a hint: with a wrong one jobs start later.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: dict[str, _Queue] = {}

    def room(self, name: str, unclaimed: int, running: int, now: float) -> int:
        """How many more may be admitted, while so many have not begun and so many run."""
        queue = self._queues.setdefault(name, _Queue(min(START, self._most), now))
        self._learn(queue, unclaimed, now)
        if unclaimed:
            ahead = min(AHEAD_SECONDS + 2 * queue.interval, LONGEST_AHEAD_SECONDS)
            queue.size = max(math.ceil(queue.rate * ahead), running - 1, 1)
        elif queue.was_full:
            furthest = max(math.ceil(queue.rate * FURTHEST_SECONDS), START)
            queue.size = max(min(2 * queue.size, furthest), queue.size)
        queue.size = min(queue.size, self._most)
        return max(queue.size - unclaimed, 0)

    def admitted(self, name: str, count: int, *, is_full: bool) -> None:
        """So many were admitted; whether that was all that there was room for."""
        queue = self._queues[name]
        queue.unclaimed += count
        queue.was_full = is_full

    def _learn(self, queue: _Queue, unclaimed: int, now: float) -> None:
        passed = now - queue.looked_at
        if passed > 0:
            began = max(queue.unclaimed - unclaimed, 0) / passed
            weight = min(passed / MEAN_SECONDS, 1)
            queue.rate += (began - queue.rate) * weight
            queue.interval += (passed - queue.interval) * weight
        queue.unclaimed, queue.looked_at = unclaimed, now
