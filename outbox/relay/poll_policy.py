"""When the relay polls, and what a poll does: rules without a clock, an event loop or I/O.

The caller says what happened and when, in seconds of any clock that never goes back. So tests try
every rule and every order of events without waiting.
"""

from dataclasses import dataclass
from math import inf

from outbox.relay.capacity import Room
from outbox.submission.rate_limit import INTERVAL_SECONDS

IDLE_POLL_SECONDS = 0.5
"""Poll interval of an idle relay that gets no wake-up."""
WAKE_UP_LASTS_SECONDS = INTERVAL_SECONDS + 0.001
"""How long a wake-up counts. A job committed within that time may send none of its own."""
LARGE_BATCH = 100
"""After a batch of so many there probably are more: the relay polls again at once."""
LINGER_SECONDS = 0.01
"""The longest linger after a smaller batch: the next one gathers, which costs less per job."""
LINGER_PER_EVENT_SECONDS = 0.0005
"""Linger for each event of the last batch, or after none: the shortest linger."""
MEASURE_SECONDS = 0.02
"""The shortest interval between two measurements while a queue takes no more messages."""
SWEEP_SECONDS = 0.2
"""The shortest interval between two sweeps."""
POSTPONED_SECONDS = IDLE_POLL_SECONDS
"""How long a sweep that is due waits, while wake-ups come, for a poll that none brought about."""
PAUSE_PER_SWEEP = 9
"""The interval in durations of the last sweep: sweeps take at most a tenth of the time."""
LONGEST_INTERVAL_SECONDS = 5
"""The longest interval of both, even if a silent broker held the last one up."""


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll does before it publishes."""

    sweeps: bool
    """Whether it looks for queues that it does not know."""
    measures: bool
    """Whether it measures the queues. A sweep always does."""
    searches: bool
    """Whether it republishes messages that the broker has lost; it has then measured."""
    restarts: bool
    """Whether it starts at the oldest event of each queue; otherwise after the last one taken."""


class PollPolicy:
    """Decides when the next poll begins: told of each wake-up, and of each poll as it goes on.

    - A poll begins after each wake-up, and another once the wake-up no longer counts.
    - An idle relay polls every IDLE_POLL_SECONDS.
    - After a large batch it polls again at once; after a smaller one it lingers.
    - While there probably is more, a poll goes on where the last one was; any other begins at the
      oldest event, as one may have been committed late.
    - While no queue takes any messages, it only measures.
    - Once a queue was paused or resumed it polls and sweeps at once.
    - Two polls that find nothing are LINGER_PER_EVENT_SECONDS apart, however many wake-ups come;
      only the second one after a large batch follows at once.
    """

    def __init__(self, search_seconds: float) -> None:
        self._search_seconds = search_seconds
        self._next_search = self._woken_until = self._began = -inf
        self.restart()

    def restart(self) -> None:
        """Let the next poll begin at once, and sweep: what was measured is out of date."""
        self._next_sweep = self._next_measurement = -inf
        self._earliest = self._latest = -inf
        self._is_woken, self._must_sweep, self._found = False, False, 0

    @property
    def next_poll(self) -> float:
        """When the next poll begins. A wake-up may bring it forward."""
        if self._must_sweep:
            return -inf
        return self._earliest if self._is_woken else self._latest

    def wake_up(self, now: float) -> None:
        """A job may have been committed just now, and others may follow without a wake-up."""
        self._woken_until = now + WAKE_UP_LASTS_SECONDS
        self._is_woken = True

    def sweep(self) -> None:
        """A queue was paused or resumed: a poll begins at once, and sweeps."""
        self._must_sweep = True

    def begin(self, now: float, room: Room) -> Poll:
        """A poll begins; returns what it does."""
        postponed = POSTPONED_SECONDS if now < self._woken_until else 0
        sweeps = self._must_sweep or now >= self._next_sweep + postponed
        self._began, self._is_woken, self._must_sweep = now, False, False
        measures = sweeps or (room is not Room.ENOUGH and now >= self._next_measurement)
        searches = measures and now >= self._next_search
        return Poll(sweeps, measures, searches, restarts=sweeps or not self._expects_more(now))

    def measured(self, poll: Poll, now: float) -> None:
        """The poll has measured the queues, and done what else it does before it publishes."""
        took = now - self._began
        self._next_measurement = now + _interval(MEASURE_SECONDS, took)
        if poll.sweeps:
            self._next_sweep = now + _interval(SWEEP_SECONDS, PAUSE_PER_SWEEP * took)
        if poll.searches:
            self._next_search = now + self._search_seconds

    def end(self, now: float, taken: int, room: Room) -> None:
        """The poll has published `taken` events, and left this much room."""
        ends_backlog = self._found >= LARGE_BATCH
        self._found = LARGE_BATCH if room is Room.NONE else taken
        if room is Room.NONE:
            self._wait(max(now, self._next_measurement))
        elif taken >= LARGE_BATCH or ends_backlog:
            self._wait(now)
        else:
            self._linger(now, taken, room)

    def blocked(self, now: float) -> None:
        """The broker takes no messages from anyone for now. The next poll sweeps first."""
        self._must_sweep, self._next_sweep = False, -inf
        self._wait(now + IDLE_POLL_SECONDS)

    def _expects_more(self, now: float) -> bool:
        """Whether there probably are events after the last one taken."""
        is_woken = now < self._woken_until
        return self._found >= LARGE_BATCH or (self._found > 0 and is_woken)

    def _wait(self, until: float) -> None:
        """Poll then. A wake-up changes nothing."""
        self._earliest = self._latest = until

    def _linger(self, now: float, taken: int, room: Room) -> None:
        self._earliest = now + min(max(taken, 1) * LINGER_PER_EVENT_SECONDS, LINGER_SECONDS)
        latest = now + IDLE_POLL_SECONDS
        if taken or self._began < self._woken_until:
            latest = self._woken_until
        if room is not Room.ENOUGH:
            latest = min(latest, self._next_measurement)
        self._latest = max(self._earliest, latest)


def _interval(least: float, wanted: float) -> float:
    return min(max(least, wanted), LONGEST_INTERVAL_SECONDS)
