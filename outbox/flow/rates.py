"""Rates of keys: how many jobs of a key start in a time."""

import math
from dataclasses import dataclass
from datetime import timedelta

MOST_PERMITS = 1_000_000
SHORTEST_PER, LONGEST_PER = timedelta(milliseconds=1), timedelta(days=31)
LEAST_SPACING = timedelta(microseconds=100)
"""Between two permits: 10,000 a second."""
DEFAULT_BURST = timedelta(milliseconds=500)
"""A burst that is not given is what the rate gives in so long."""
MICROSECOND = timedelta(microseconds=1)


@dataclass(init=False, frozen=True, slots=True)
class Rate:
    """So many permits in a time, evenly spaced. Each start of a job takes one, retries included.

    Up to `burst` permits that nobody took are kept. So in any time t no more than
    `burst + t * permits / per` jobs start. If it is not given, it is what the rate gives in half a
    second, at least 1.

    Raises ValueError for permits or a burst that are not 1 to 1,000,000, for a `per` that is not
    1 ms to 31 days, and for more than 10,000 permits a second.
    """

    permits: int
    per: timedelta
    burst: int

    def __init__(self, permits: int, per: timedelta, burst: int | None = None) -> None:
        _check("permits", permits)
        if not (isinstance(per, timedelta) and SHORTEST_PER <= per <= LONGEST_PER):
            raise ValueError(f"rate: per is not 1 ms to {LONGEST_PER.days} days")
        if per < permits * LEAST_SPACING:
            raise ValueError("rate: more than 10,000 permits a second")
        if burst is None:
            burst = max(int(permits * DEFAULT_BURST / per), 1)
        _check("burst", burst)
        object.__setattr__(self, "permits", permits)
        object.__setattr__(self, "per", per)
        object.__setattr__(self, "burst", burst)

    @property
    def spacing_us(self) -> int:
        """Microseconds between two permits, rounded up: never more than the rate."""
        return math.ceil(self.per / MICROSECOND / self.permits)

    def __str__(self) -> str:
        return f"{self.permits}/{self.per.total_seconds():g}s, burst {self.burst}"


def is_count(value: object, most: int) -> bool:
    """Whether it is a whole number from 1 to that."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _check(name: str, count: object) -> None:
    if not is_count(count, MOST_PERMITS):
        raise ValueError(f"rate: {name} is not 1 to {MOST_PERMITS:,}")
