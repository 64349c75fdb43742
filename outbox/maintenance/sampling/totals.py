"""What is counted or measured for all queues together."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

MOST_COUNTED = 5_000
"""Up to how many rows are counted; more are shown as so many."""

_AGES = {
    "day": "closed_at > now() - interval '1 day'",
    "week": "closed_at <= now() - interval '1 day' AND closed_at > now() - interval '7 days'",
    "month": "closed_at <= now() - interval '7 days' AND closed_at > now() - interval '30 days'",
    "older": "closed_at <= now() - interval '30 days'",
}
"""The ages of closed letters."""


def _counted(table: str, condition: str, order: str) -> str:
    """A number of rows, counted up to a bound along an index in this order."""
    return f"""(SELECT count(*) FROM (
        SELECT FROM duly.{table} WHERE {condition} ORDER BY {order} LIMIT %(most)s
    ) AS counted)"""  # noqa: S608 - no input


_CLOSED = ",\n".join(
    f"{_counted('dead_letters', condition, 'closed_at')} AS {age}"
    for age, condition in _AGES.items()
)
_TOTALS = f"""
SELECT {_CLOSED},
    (SELECT extract(epoch FROM now() - died_at)::float8 FROM duly.dead_letters
     WHERE closed_at IS NULL AND looked_at IS NULL
     ORDER BY died_at LIMIT 1) AS unseen_seconds,
    (SELECT extract(epoch FROM now() - next_due_at)::float8 FROM duly.schedules
     WHERE next_due_at BETWEEN '2000-01-01' AND now()
     ORDER BY next_due_at LIMIT 1) AS schedule_lag_seconds,
    (SELECT extract(epoch FROM now() - min(created_at))::float8 FROM (
        (SELECT created_at FROM duly.outgoing_messages
         WHERE sent_at IS NULL AND deferred_until IS NULL ORDER BY position LIMIT 1)
        UNION ALL
        (SELECT created_at FROM duly.outgoing_messages
         WHERE deferred_until < 'infinity' ORDER BY deferred_until LIMIT %(most)s)
     ) AS unsent) AS message_seconds,
    {_counted("batches", "settled_at IS NULL", "id")} AS open_batches
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers up to `MOST_COUNTED` are exact. Ages are in seconds, and 0 where there is nothing."""

    closed_letters: Mapping[str, int]
    """By how long ago they were closed: within a day, a week, a month, or longer ago."""
    unseen_seconds: float
    """The age of the oldest open dead letter that nobody has looked at."""
    schedule_lag_seconds: float
    """How late the latest tick is that is due and not made."""
    message_seconds: float
    """The age of the oldest message to another service that is not sent and no dead letter: the
    first in order, or one of those that are tried again."""
    open_batches: int


def read(session: Session) -> Totals:
    """What there is now. Raises SQLAlchemy's errors."""
    row = session.connection().exec_driver_sql(_TOTALS, {"most": MOST_COUNTED}).one()
    return Totals(
        closed_letters={age: getattr(row, age) for age in _AGES},
        unseen_seconds=max(row.unseen_seconds or 0.0, 0.0),
        schedule_lag_seconds=row.schedule_lag_seconds or 0.0,
        message_seconds=max(row.message_seconds or 0.0, 0.0),
        open_batches=row.open_batches,
    )
