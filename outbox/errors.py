"""Exceptions that an actor raises to its worker, and a worker to its actor."""

from datetime import timedelta

LONGEST_WAIT = timedelta(days=36_525)
"""A century: Python's dates end before Postgres's, and Python must be able to read every job."""


class Snooze(Exception):
    """Raised by an actor to run again after `delay` without spending an attempt.

    For work that is not ready yet (a report still being made elsewhere), not for work that failed.
    A negative delay means at once. Delays are cut to `LONGEST_WAIT`.
    """

    def __init__(self, delay: timedelta, reason: str = "") -> None:
        super().__init__(reason or f"snoozed for {delay}")
        self.delay = min(max(delay, timedelta()), LONGEST_WAIT)


class RateLimited(Snooze):
    """Raised by an actor whose receiver asks it to come back later, as HTTP's 429 does.

    The job runs again after `retry_after`, seconds or a timedelta, without spending an attempt.
    Meanwhile no job starts that has an equal key with a rate, for a day at most. Of a kind without
    rates only the job itself waits.
    """

    def __init__(self, retry_after: timedelta | float, reason: str = "") -> None:
        super().__init__(_delay(retry_after), reason or f"rate limited for {retry_after}")


class Uncertain(Exception):
    """Raised by an actor whose effect elsewhere may have happened: the answer was lost.

    A retry may double the effect: `Retry.uncertain` limits how often that is risked.
    """


class Superseded(Exception):
    """This worker no longer holds the job. It was replaced, and can finish nothing."""


class TimeLimitExceeded(BaseException):
    """The attempt ran past its kind's time limit.

    Not an `Exception`, so that an actor's own `except Exception` does not swallow it.
    """


class Interrupted(BaseException):
    """The worker no longer holds the job: nothing that the attempt does from now on counts.

    Not an `Exception`, so that an actor's own `except Exception` does not swallow it.
    """


class WorkerStopping(BaseException):
    """The worker stops, and hands the job back. An `async def` actor gets `CancelledError`."""


class JobCancelled(BaseException):
    """Somebody asked to cancel the job. An actor that lets it pass ends `cancelled`.

    An `async def` actor gets `asyncio.CancelledError` instead. Either may raise this one itself
    once `job.cancelled` is true. Not an `Exception`, so that an actor's own `except Exception` does
    not swallow it.
    """


def _delay(retry_after: timedelta | float) -> timedelta:
    """As a timedelta, whatever number the receiver has sent."""
    if isinstance(retry_after, timedelta):
        return retry_after
    longest = LONGEST_WAIT.total_seconds()
    return timedelta(seconds=min(max(retry_after, 0.0), longest))
