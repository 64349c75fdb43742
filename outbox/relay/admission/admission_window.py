"""How many admitted jobs of a queue may wait for a worker."""

import math
from dataclasses import dataclass

from outbox.relay.capacity import REFILL_DIVISOR

START = 16
"""The window of a queue that nothing is known of."""
AHEAD_SECONDS, LEAST_AHEAD_SECONDS, LONGEST_AHEAD_SECONDS = 0.06, 0.01, 0.5
"""What begins within so long is admitted, less what jobs run for, and besides what begins in two
rounds."""
FURTHEST_SECONDS = 1.0
"""A window does not grow past what begins within so long."""
DOUBLES_SECONDS = 1.0
"""Within so long a window doubles that is too small for the way to the workers."""
MEAN_SECONDS, PEAK_SECONDS = 0.5, 60.0
"""Over about how long the rate of beginnings is taken, and how long the most that ran count."""
BUSY_SHARE = 0.9
"""Of the most jobs that ran: if more run in the mean, no worker is free."""
FEW = 50
"""A window of more jobs is refilled once a part of it is free, as a round for a few costs much."""


@dataclass(slots=True)
class _Queue:
    size: float
    looked_at: float
    unclaimed: int = 0
    """At the last look, with what was admitted then."""
    rate: float = 0.0
    """How many jobs began in a second."""
    running: float = 0.0
    """How many ran, in the mean."""
    most_running: float = 0.0
    interval: float = 0.0
    """The mean time between two looks."""
    was_full: bool = False

    @property
    def run_seconds(self) -> float:
        """How long jobs run, in the mean."""
        return self.running / self.rate if self.rate else 0.0

    @property
    def is_busy(self) -> bool:
        """Whether all that ran at once lately do so all the time."""
        return self.running > BUSY_SHARE * self.most_running


class AdmissionWindow:
    """Keeps what is admitted and has not begun to what begins within some 100 ms.

    So another key's job finds few ahead of it, whatever a key's backlog. A window that was full and
    is found empty doubles, up to `most`. One in which jobs wait gets the size that their rate asks
    for, but one less than there are jobs running: within their longest run each of these ends, so
    a job that comes next has begun by then. Where the broker's queue is empty and workers are free
    nonetheless, jobs do not wait but are on their way: then it grows. What is late even so (a
    worker that was stopped has it, or the broker has lost it) does not count. All of it is a hint:
    with a wrong one jobs start later.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: dict[str, _Queue] = {}

    def room(
        self,
        name: str,
        unclaimed: int,
        running: int,
        now: float,
        depth: int | None = None,
        late: int = 0,
    ) -> int:
        """How many more may be admitted, while so many have not begun and so many run.

        `depth` is how many messages the broker's queue had lately, if that is known. `late` of the
        unclaimed were admitted long ago.
        """
        queue = self._queues.setdefault(name, _Queue(min(START, self._most), now))
        passed = now - queue.looked_at
        _learn(queue, unclaimed, running, now)
        idle = 0
        if late and depth == 0 and running <= BUSY_SHARE * queue.most_running:
            unclaimed, idle = unclaimed - late, math.ceil(queue.most_running) - running
        furthest = max(math.ceil(queue.rate * FURTHEST_SECONDS), START)
        if unclaimed:
            grown = queue.size * (1 + passed / DOUBLES_SECONDS)
            is_short = queue.was_full and depth == 0 and not queue.is_busy
            queue.size = max(_wanted(queue, running), min(grown, furthest) if is_short else 1)
        elif queue.was_full:
            queue.size = max(min(2 * queue.size, furthest), queue.size)
        queue.size = min(max(queue.size, idle), self._most)
        free = max(int(queue.size) - unclaimed, 0)
        return free if queue.size <= FEW or free >= queue.size // REFILL_DIVISOR else 0

    def admitted(self, name: str, count: int, *, is_full: bool) -> None:
        """So many were admitted; whether that was all that there was room for."""
        queue = self._queues[name]
        queue.unclaimed += count
        queue.was_full = is_full


def _wanted(queue: _Queue, running: int) -> int:
    """The size that the rate asks for."""
    ahead = max(AHEAD_SECONDS - queue.run_seconds, LEAST_AHEAD_SECONDS) + 2 * queue.interval
    return max(math.ceil(queue.rate * min(ahead, LONGEST_AHEAD_SECONDS)), running - 1)


def _learn(queue: _Queue, unclaimed: int, running: int, now: float) -> None:
    passed = now - queue.looked_at
    if passed > 0:
        began = max(queue.unclaimed - unclaimed, 0) / passed
        weight = min(passed / MEAN_SECONDS, 1)
        queue.rate += (began - queue.rate) * weight
        queue.running += (running - queue.running) * weight
        queue.most_running *= max(1 - passed / PEAK_SECONDS, 0)
        queue.interval += (passed - queue.interval) * weight
    queue.most_running = max(queue.most_running, running)
    queue.unclaimed, queue.looked_at = unclaimed, now
