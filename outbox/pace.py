"""How often a sender may nudge: seldom under load, and at once where there is little to tell."""

import math

LEAST_SECONDS = 0.005
"""Between two nudges of a sender that has many to send.

Relays count on it: what was committed so soon after a nudge need not nudge again."""
AT_ONCE = 4
"""So many may follow one another without a pause; each `LEAST_SECONDS` give one of them back."""


class Pace:
    """Keeps the pace of one sender (the generic cell rate algorithm, ITU-T I.371).

    At an easy pace, too, some jobs come soon after others: their nudges need not wait.
    """

    def __init__(self) -> None:
        self._spent_until = -math.inf

    def spend(self, now: float) -> float:
        """One is sent `now`; returns when the next may be, `LEAST_SECONDS` later at the most."""
        self._spent_until = max(self._spent_until, now) + LEAST_SECONDS
        return max(now, self._spent_until - (AT_ONCE - 1) * LEAST_SECONDS)
