"""Limits how often a sender wakes the relays up: rarely under load, at once when it is quiet."""

import math

INTERVAL_SECONDS = 0.005
"""The interval between two wake-ups of a busy sender.

Relays rely on it: what is committed within the interval needs no wake-up of its own.
"""

BURST = 4
"""The burst: this many wake-ups may follow one another at once. Each interval gives one back."""


class RateLimit:
    """The rate limit of one sender (the generic cell rate algorithm, ITU-T I.371).

    Even at a low rate some jobs come shortly after others. The burst lets their wake-ups through.
    """

    def __init__(self) -> None:
        self._spent_until = -math.inf

    def spend(self, now: float) -> float:
        """Count a wake-up sent `now`; return when the next may go, which is soon."""
        self._spent_until = max(self._spent_until, now) + INTERVAL_SECONDS
        return max(now, self._spent_until - (BURST - 1) * INTERVAL_SECONDS)
