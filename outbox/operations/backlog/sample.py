"""Estimates from a sample of a table's blocks: its cost is the same for any number of rows.

The planner's statistics would cost even less. But they are as old as the last ANALYZE: a backlog
that has grown since then would not be seen.
"""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy.orm import Session

BLOCKS = 300
"""About how many blocks of 8 kB are read."""
DIGITS = 2
"""An estimate has so many digits that are not 0: more would look exact."""


class Guess(NamedTuple):
    """About how many events a queue has in one level, by state."""

    due: int
    overdue: int
    scheduled: int


NOTHING = Guess(0, 0, 0)
Level = tuple[str, int, bool]
"""Queue, level, and whether the events wait for keys."""

# The same blocks are read each time, so that the numbers move only as the table does.
_EVENTS = """
WITH share AS (
    SELECT least(1.0, %(blocks)s * current_setting('block_size')::float8
                      / greatest(pg_relation_size('duly.outbox_events'), 1)) AS taken
), sampled AS MATERIALIZED (
    SELECT queue, priority, keys IS NOT NULL AS is_held,
           count(*) FILTER (WHERE available_at <= now()) AS due,
           count(*) FILTER (WHERE available_at < now() - %(late)s) AS overdue,
           count(*) FILTER (WHERE available_at > now()) AS scheduled
    FROM duly.outbox_events TABLESAMPLE SYSTEM (
        least(100, 100 * %(blocks)s * current_setting('block_size')::float8
                   / greatest(pg_relation_size('duly.outbox_events'), 1))
    ) REPEATABLE (0)
    GROUP BY 1, 2, 3
)
SELECT queue, priority, is_held, due / taken, overdue / taken, scheduled / taken
FROM sampled CROSS JOIN share
"""


def events(session: Session, late: timedelta) -> dict[Level, Guess]:
    """The outbox's events; those due for longer than `late` are overdue."""
    asked = {"blocks": BLOCKS, "late": late}
    rows = session.connection().exec_driver_sql(_EVENTS, asked)
    return {
        (queue, level, is_held): Guess(*map(rounded, numbers))
        for queue, level, is_held, *numbers in rows
    }


def rounded(number: float) -> int:
    """The number to `DIGITS` digits: 1034217 becomes 1000000."""
    return int(float(f"{number:.{DIGITS}g}"))
