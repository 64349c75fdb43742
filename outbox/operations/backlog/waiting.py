"""The jobs that wait in Postgres, counted by their outbox events.

For each queue and level, up to so many entries of an index are read, however many there are.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from outbox.operations.backlog import sample
from outbox.operations.backlog.queue_status import MOST_COUNTED, Queues, QueueStatus
from outbox.operations.backlog.sample import NOTHING, Guess
from outbox.store.transitions.levels import levels_of

MOST_IN_ALL = 15_000
"""Up to how many events are counted of all queues and priorities in a state."""

_AGE = """round(extract(epoch FROM now() - min(greatest(available_at, 'epoch'))
                 FILTER (WHERE available_at <= now())), 1)::float8"""

_BOUND = """bound AS (
    SELECT least(%(most)s, %(most_in_all)s / greatest(count(*), 1)) AS most FROM found
)"""
"""Up to how many are counted, so that many long levels cost no more than a few."""

# The index of those that wait for no key is in the order of time.
_FREE = f"""
WITH RECURSIVE {levels_of("found", "keys IS NULL")}, {_BOUND}
SELECT found.queue, found.priority, false AS is_held, ready.*, later.*,
       ready.due > most AS due_is_cut, later.scheduled > most AS scheduled_is_cut
FROM found CROSS JOIN bound
CROSS JOIN LATERAL (
    SELECT count(*) AS due, count(*) FILTER (WHERE available_at < now() - %(late)s) AS overdue,
           {_AGE} AS oldest_seconds
    FROM (
        SELECT available_at FROM duly.outbox_events AS event
        WHERE keys IS NULL AND event.queue = found.queue AND event.priority = found.priority
          AND available_at <= now()
        ORDER BY available_at
        LIMIT (SELECT most FROM bound) + 1
    ) AS event
) AS ready
CROSS JOIN LATERAL (
    SELECT count(*) AS scheduled
    FROM (
        SELECT FROM duly.outbox_events AS event
        WHERE keys IS NULL AND event.queue = found.queue AND event.priority = found.priority
          AND available_at > now()
        ORDER BY available_at
        LIMIT (SELECT most FROM bound) + 1
    ) AS event
) AS later
"""  # noqa: S608 - no input

# The index of those with keys is not: due and later ones are counted together.
_KEYED = f"""
WITH RECURSIVE {levels_of("found", "keys IS NOT NULL")}, {_BOUND}
SELECT found.queue, found.priority, true AS is_held, waiting.*, is_cut AS due_is_cut,
       is_cut AS scheduled_is_cut
FROM found CROSS JOIN bound
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE available_at <= now()) AS due,
           count(*) FILTER (WHERE available_at < now() - %(late)s) AS overdue,
           {_AGE} AS oldest_seconds,
           count(*) FILTER (WHERE available_at > now()) AS scheduled,
           count(*) > most AS is_cut
    FROM (
        SELECT available_at FROM duly.outbox_events AS event
        WHERE keys IS NOT NULL AND event.queue = found.queue AND event.priority = found.priority
        ORDER BY kind, keys, available_at
        LIMIT (SELECT most FROM bound) + 1
    ) AS event
) AS waiting
"""  # noqa: S608


def count(session: Session, queues: Queues, late: timedelta) -> Counter[str]:
    """Count them, and return how many of each queue have been due for longer than `late`.

    The numbers of a level that has more than `MOST_COUNTED` come from a sample of all events.
    """
    asked = {"most": MOST_COUNTED, "most_in_all": MOST_IN_ALL, "late": late}
    connection = session.connection()
    found = [
        row for query in (_FREE, _KEYED) for row in connection.exec_driver_sql(query, asked).all()
    ]
    is_cut = any(row.due_is_cut or row.scheduled_is_cut for row in found)
    guesses = sample.events(session, late) if is_cut else {}
    overdue: Counter[str] = Counter()
    for row in found:
        overdue[row.queue] += _add(queues[row.queue], row, guesses.get(row[:3], NOTHING))
    return overdue


def _add(queue: QueueStatus, row: Any, guess: Guess) -> int:
    """Add what a queue has in one level; returns how many of it are overdue."""
    state = "held" if row.is_held else "due"
    queue.waited(f"oldest_{state}_seconds", row.oldest_seconds)
    due: int = row.due
    overdue: int = row.overdue
    scheduled: int = row.scheduled
    if row.due_is_cut:
        due, overdue = max(due, guess.due), max(overdue, guess.overdue)
        queue.estimate(state, row.priority)
    if row.scheduled_is_cut:
        scheduled = max(scheduled, guess.scheduled)
        queue.estimate("scheduled", row.priority)
    getattr(queue, state).add(row.priority, due)
    queue.scheduled.add(row.priority, scheduled)
    return overdue
