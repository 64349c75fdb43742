"""The overdue jobs of each queue, and how long its oldest queued job has been due."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.orm import Session

from outbox.kinds import Kinds
from outbox.operations import overdue
from outbox.operations.backlog.queue_status import Queues


def count(
    session: Session,
    queues: Queues,
    kinds: Kinds,
    *,
    silence: timedelta,
    waiting: Mapping[str, int],
) -> None:
    """Count them once the pauses are known.

    If so many are late that not all are read, `waiting`, the late ones in the outbox, says more.
    """
    found = overdue.count(session, kinds, silence=silence)
    for name, count in found.overdue.items():
        queues[name].overdue = count
    for name, seconds in found.oldest_queued_seconds.items():
        queues[name].waited("oldest_queued_seconds", seconds)
    if not found.is_complete:
        for name, count in waiting.items():
            if count and not queues[name].paused:
                queues[name].overdue = max(queues[name].overdue, count)
                queues[name].estimate("overdue")
    for each in queues.values():
        each.waited("oldest_queued_seconds", each.oldest_seconds)
