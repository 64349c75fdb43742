"""How many permits a key with a rate has by its clock, and when the next one comes."""

import math
from typing import NamedTuple

from outbox.flow.rates import Rate


class Clock(NamedTuple):
    """How far the clock of a key is ahead of now, in seconds, and for how long it is paused."""

    ahead: float = 0.0
    pause: float = 0.0

    def permits(self, rate: Rate) -> int:
        """How many are there now. One if the clock is too far ahead: a claim sets it right."""
        if self.pause > 0:
            return 0
        spacing = rate.spacing_us / 1e6
        if self.ahead > rate.burst * spacing:
            return 1
        return max(math.floor(rate.burst - self._ahead(rate) / spacing + 1e-6), 0)

    def seconds_until(self, rate: Rate, number: int) -> float:
        """When the permit with this number, counted from 1, is there."""
        spacing = rate.spacing_us / 1e6
        return max(self._ahead(rate) + (number - rate.burst) * spacing, self.pause, 0.0)

    def _ahead(self, rate: Rate) -> float:
        """Never further than all permits: Postgres's time was set back, or the rate has changed."""
        return min(max(self.ahead, 0.0), rate.burst * rate.spacing_us / 1e6)
