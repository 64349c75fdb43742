"""Estimates from a sample of a table's blocks: its cost is the same for any number of rows.

The planner's statistics would cost even less. But they are as old as the last ANALYZE: a backlog
that has grown since then would not be seen.
"""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy.orm import Session

BLOCKS = 200
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


def _share(table: str) -> str:
    """SQL for how much of the table is read, from 0 to 1."""
    return f"""least(1, %(blocks)s * current_setting('block_size')::float8
                    / greatest(pg_relation_size('{table}'), 1))"""


def blocks_of(table: str) -> str:
    """SQL for its rows in about `blocks` blocks.

    The same ones are read each time: numbers move only as the table does.
    """
    return f"{table} TABLESAMPLE SYSTEM (100 * {_share(table)}) REPEATABLE (0)"


_EVENTS = f"""
SELECT queue, priority, keys IS NOT NULL,
       count(*) FILTER (WHERE available_at <= now()) / {_share("duly.outbox_events")},
       count(*) FILTER (WHERE available_at < now() - %(late)s) / {_share("duly.outbox_events")},
       count(*) FILTER (WHERE available_at > now()) / {_share("duly.outbox_events")}
FROM {blocks_of("duly.outbox_events")}
GROUP BY 1, 2, 3
"""  # noqa: S608 - no input
_LETTERS = f"""
SELECT queue, count(*) / {_share("duly.dead_letters")}
FROM {blocks_of("duly.dead_letters")}
WHERE closed_at IS NULL
GROUP BY queue
"""  # noqa: S608


def events(session: Session, late: timedelta) -> dict[Level, Guess]:
    """The outbox's events; those due for longer than `late` are overdue."""
    asked = {"blocks": BLOCKS, "late": late}
    rows = session.connection().exec_driver_sql(_EVENTS, asked)
    return {
        (queue, level, is_held): Guess(*map(rounded, numbers))
        for queue, level, is_held, *numbers in rows
    }


def letters(session: Session) -> dict[str, int]:
    """The open dead letters of each queue."""
    rows = session.connection().exec_driver_sql(_LETTERS, {"blocks": BLOCKS})
    return {queue: rounded(number) for queue, number in rows}


def rounded(number: float) -> int:
    """The number to `DIGITS` digits: 1034217 becomes 1000000."""
    return int(float(f"{number:.{DIGITS}g}"))
