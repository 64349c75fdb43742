"""What is to be done with the ticks that are due: decided from times alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from outbox.schedules.cron import Cron
from outbox.schedules.schedule import MISSED_AFTER, Missed

MOST_AT_ONCE = 1_000
"""How many ticks are skipped in one step."""


MISSED = "missed: "
"""How the reason begins for which a tick is skipped that nobody made in time."""


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do with a schedule: make one tick's job, or skip some ticks."""

    due_at: Sequence[datetime]
    next_due_at: datetime | None
    """The tick after them; None if there is none."""
    why: str | None = None
    """Why they are skipped; None if a job is to be made."""


def next_step(
    cron: Cron, due_at: datetime, now: datetime, missed: Missed, catch_up: timedelta
) -> Step:
    """The step for the tick at `due_at`, the earliest that is not on record.

    Later ticks that are skipped for the same reason belong to the same step.
    """
    later = cron.after(due_at)
    ticks, following = [due_at], next(later, None)
    why = _why_skipped(due_at, following, now, missed, catch_up)
    while why and following and len(ticks) < MOST_AT_ONCE:
        tick, after_it = following, next(later, None)
        if _why_skipped(tick, after_it, now, missed, catch_up) != why:
            break
        ticks.append(tick)
        following = after_it
    return Step(ticks, following, why)


def held_back(name: str, due_at: datetime, jitter: timedelta) -> timedelta:
    """How long the tick's job is held back: the same in each process, below `jitter`."""
    if not jitter:
        return timedelta()
    digest = blake2b(f"{name} {due_at.timestamp():.0f}".encode(), digest_size=8).digest()
    return jitter * (int.from_bytes(digest) / 2**64)


def _why_skipped(
    tick: datetime, following: datetime | None, now: datetime, missed: Missed, catch_up: timedelta
) -> str | None:
    late = now - tick
    if late <= MISSED_AFTER:
        return None
    if missed is Missed.SKIP:
        return f"{MISSED}no relay made it in time"
    if late > catch_up:
        return f"{MISSED}no relay made it within the catch-up window of {catch_up}"
    if missed is Missed.RUN_ONCE and following is not None and following <= now:
        return f"{MISSED}a later tick was due, and only the newest is made"
    return None
