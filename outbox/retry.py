"""When a failed attempt is tried again, and when it is not."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from outbox.time_limit import TimeLimitExceeded

LONGEST_WAIT = timedelta(days=36_525)
"""A century: Python's dates end before Postgres's do, and a job must stay readable."""


class Snooze(Exception):
    """Raised by an actor to be run again after `delay`, at once if negative, no attempt spent.

    For work that is not ready yet (a report still being made elsewhere), not for work that failed.
    """

    def __init__(self, delay: timedelta, reason: str = "") -> None:
        super().__init__(reason or f"snoozed for {delay}")
        self.delay = min(max(delay, timedelta()), LONGEST_WAIT)


class Uncertain(Exception):
    """Raised by an actor whose effect elsewhere may have happened: the answer to it was lost.

    Repeating it may double the effect, so `Retry.uncertain` says how often that is done.
    """


@dataclass(frozen=True, slots=True)
class Retry:
    """A kind's retry policy: how often, how far apart, and for which errors.

    `attempts` counts every run, the first included. An error of a class in `never`, or of no class
    in `only`, makes the job dead at once. An error that carries `retry_in: timedelta` (a server's
    Retry-After, say) sets its own delay, up to `longest`. A job is run again after at most
    `uncertain` attempts that ended with `Uncertain`; after one more it is dead.
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
            raise ValueError("a job cannot be repeated less than never")
        # What is of another type is found where it is declared, not when the first job fails.
        self.allows(Exception())
        self.backoff(self.attempts)

    def allows(self, error: BaseException) -> bool:
        """Whether an error of this class is worth another attempt."""
        return isinstance(error, self.only) and not isinstance(error, self.never)

    def delay(
        self,
        spent: int,
        error: BaseException,
        uniform: Callable[[float, float], float] | None = None,
    ) -> timedelta:
        """How long to wait after `spent` attempts: what the error asks for, else `backoff`."""
        asked = _asked_by(error)
        if asked is None:
            return self.backoff(spent, uniform)
        return min(max(asked, timedelta()), self.longest, LONGEST_WAIT)

    def backoff(
        self, spent: int, uniform: Callable[[float, float], float] | None = None
    ) -> timedelta:
        """Exponential backoff with full jitter.

        Full jitter (a uniform draw from zero to the exponential bound) spreads a crowd of jobs that
        failed together best; see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        # In floats: a timedelta overflows long before the exponent does.
        bound = self.first.total_seconds() * 2.0 ** min(spent - 1, 40)
        longest = min(self.longest, LONGEST_WAIT).total_seconds()
        return timedelta(seconds=(uniform or random.uniform)(0, min(bound, longest)))


def _asked_by(error: BaseException) -> timedelta | None:
    try:
        asked = getattr(error, "retry_in", None)
    except Exception:  # noqa: BLE001 - a property that fails asks for nothing
        return None
    return asked if isinstance(asked, timedelta) else None
