"""A schedule: work that is submitted at each tick of a cron expression."""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from outbox.kinds import Work
from outbox.schedules.cron import Cron
from outbox.values.storable import storable, storable_json

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
MISSED_AFTER = timedelta(minutes=1)
"""A tick that is later than this was missed."""
LONGEST_CATCH_UP = timedelta(days=366)


class Overlap(StrEnum):
    """What a tick does while an earlier tick's job is queued or running."""

    SKIP = "skip"
    """It makes no job, and is listed as skipped."""
    QUEUE = "queue"
    """It waits until no earlier job is left, then makes its own."""
    ALLOW = "allow"
    """It makes its job nevertheless."""
    CANCEL_OTHER = "cancel_other"
    """It cancels the earlier jobs, as a person would, and makes its own."""


class Missed(StrEnum):
    """Which ticks still make a job that relays found later than `MISSED_AFTER`."""

    RUN_ONCE = "run_once"
    """The newest of those within the catch-up window, unless a later one is due in time."""
    RUN_ALL = "run_all"
    """All within the catch-up window."""
    SKIP = "skip"
    """None."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Submits `work` at each tick of `cron`, local time in `zone`.

    Each tick makes exactly one job, or is listed with why it made none. `cron` has five fields
    (minute, hour, day of month, month, weekday), or six with seconds first. `catch_up` is how late
    a tick may be and still make a job. `jitter` holds each job back by a part of it that follows
    from name and tick. Jobs have the `subject` given, else `schedule:<name>`.

    Raises ValueError for a name that is not letters, digits, `.`, `_` and `-`, what `Cron` refuses,
    a catch-up below a minute or over 366 days, a jitter as long as the smallest interval between
    two ticks, a payload that cannot be stored, and keys as `submit` does.
    """

    name: str
    cron: str
    work: Work[Any]
    zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    missed: Missed = Missed.RUN_ONCE
    catch_up: timedelta = timedelta(hours=1)
    jitter: timedelta = timedelta()
    subject: str | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} is not 1 to 200 letters, digits, '.', '_', '-'")
        Overlap(self.overlap)
        Missed(self.missed)
        if not MISSED_AFTER <= self.catch_up <= LONGEST_CATCH_UP:
            raise ValueError("catch_up: must be one minute to 366 days")
        self._check_jitter(Cron(self.cron, self.zone))
        storable(self.subject)
        self.payload()
        self.work.keys()

    def payload(self) -> str:
        """The work's payload as JSON. Raises ValueError if it cannot be stored."""
        return storable_json(self.work.to_json())

    def _check_jitter(self, cron: Cron) -> None:
        if self.jitter < timedelta():
            raise ValueError("jitter: must not be negative")
        if self.jitter and self.jitter >= (smallest := cron.smallest_interval()):
            raise ValueError(f"jitter: must be less than {smallest}, the smallest interval")
