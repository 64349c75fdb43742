"""A schedule as the columns of its row."""

from datetime import datetime
from typing import Any, Literal

from outbox.schedules.cron import Cron
from outbox.schedules.schedule import Schedule


def values(schedule: Schedule, source: Literal["code", "runtime"], now: datetime) -> dict[str, Any]:
    """The columns, with the first tick after `now`."""
    kind = schedule.work.kind
    return {
        "name": schedule.name,
        "source": source,
        "cron": schedule.cron,
        "zone": schedule.zone,
        "kind": kind.name,
        "queue": kind.queue,
        "priority": int(kind.priority),
        "payload": schedule.payload(),
        "attempt_budget": kind.retry.attempts,
        "subject": schedule.subject,
        "overlap": str(schedule.overlap),
        "missed": str(schedule.missed),
        "catch_up_seconds": int(schedule.catch_up.total_seconds()),
        "jitter_seconds": int(schedule.jitter.total_seconds()),
        "keys": schedule.work.keys() or None,
        "is_ordered": kind.is_ordered or None,
        "next_due_at": next(Cron(schedule.cron, schedule.zone).after(now), None),
    }
