"""Retry policies: whether and when a failed attempt is repeated."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from outbox.errors import LONGEST_WAIT, TimeLimitExceeded


@dataclass(frozen=True, slots=True)
class Retry:
    """A kind's retry policy: how often, how far apart, and for which errors.

    `attempts` counts every run, including the first. An error whose class is in `never`, or not in
    `only`, makes the job dead at once. An error with an attribute `retry_in: timedelta` (a server's
    Retry-After, say) sets its own delay, up to `longest`. At most `uncertain` attempts that ended
    with `Uncertain` are repeated; after one more the job is dead.
    """

    attempts: int = 8
    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(hours=1)
    only: tuple[type[BaseException], ...] = (Exception, TimeLimitExceeded)
    never: tuple[type[BaseException], ...] = ()
    uncertain: int = 1

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("a job needs at least one attempt")
        if self.uncertain < 0:
            raise ValueError("`uncertain` cannot be negative")
        # A value of a wrong type raises here, where it is declared, not when the first job fails.
        self.allows(Exception())
        self.backoff(self.attempts)

    def allows(self, error: BaseException) -> bool:
        """Whether this error is worth another attempt."""
        return isinstance(error, self.only) and not isinstance(error, self.never)

    def delay(
        self,
        spent: int,
        error: BaseException,
        uniform: Callable[[float, float], float] | None = None,
    ) -> timedelta:
        """How long to wait after `spent` attempts: as long as the error asks, else `backoff`."""
        asked = _retry_in(error)
        if asked is None:
            return self.backoff(spent, uniform)
        return min(max(asked, timedelta()), self.longest, LONGEST_WAIT)

    def backoff(
        self, spent: int, uniform: Callable[[float, float], float] | None = None
    ) -> timedelta:
        """Exponential backoff with full jitter, after `spent` attempts.

        Full jitter (a uniform draw from zero to the exponential bound) best spreads jobs that
        failed together; see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        # Floats, because a timedelta overflows long before the exponent does.
        bound = self.first.total_seconds() * 2.0 ** min(spent - 1, 40)
        longest = min(self.longest, LONGEST_WAIT).total_seconds()
        return timedelta(seconds=(uniform or random.uniform)(0, min(bound, longest)))


def _retry_in(error: BaseException) -> timedelta | None:
    try:
        asked = getattr(error, "retry_in", None)
    except Exception:  # noqa: BLE001 - a property that raises asks for nothing
        return None
    return asked if isinstance(asked, timedelta) else None
