"""An estimate of how many jobs could start, from a few of those that wait for keys."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from outbox.operations.backlog import sample
from outbox.operations.backlog.places import Places

MOST_PICKED = 200
"""About so many events are picked, of all queues."""
MOST_OF_A_KEY = 300
"""Of each picked event's kind and keys, up to so many are counted."""

# Those that are picked lie evenly in the sampled blocks. Kinds in `free` have no limit.
_PICKED = f"""
WITH sampled AS MATERIALIZED (
    SELECT queue, priority, kind, keys, row_number() OVER (PARTITION BY queue) AS place,
           count(*) OVER (PARTITION BY queue) AS found
    FROM {sample.blocks_of("duly.outbox_events")}
    WHERE keys IS NOT NULL AND available_at <= now() AND queue = ANY (%(queues)s::text[])
), picked AS MATERIALIZED (
    SELECT queue, priority, kind, count(*) AS times,
           CASE WHEN kind = ANY (%(free)s::text[]) THEN '{{}}' ELSE keys END AS keys
    FROM sampled
    WHERE mod(place - 1, (found - 1) / %(most)s + 1) = 0
    GROUP BY queue, priority, kind, 5
)
SELECT queue, kind, keys, times, (
    SELECT count(*) FROM (
        SELECT FROM duly.outbox_events AS event
        WHERE event.keys IS NOT NULL AND event.queue = picked.queue
          AND event.priority = picked.priority AND event.kind = picked.kind
          AND event.keys = picked.keys AND event.available_at <= now()
        LIMIT %(most_of_a_key)s
    ) AS event
) AS due
FROM picked
"""  # noqa: S608 - no input


def read(session: Session, queues: Sequence[str], free: Sequence[str]) -> Sequence[Any]:
    """The picked events of these queues: how many `times` each kind and keys, and how many wait."""
    asked = {
        "blocks": sample.BLOCKS,
        "queues": [*queues],
        "free": [*free],
        "most": max(MOST_PICKED // len(queues), 1),
        "most_of_a_key": MOST_OF_A_KEY,
    }
    return session.connection().exec_driver_sql(_PICKED, asked).all()


def estimate(rows: Sequence[Any], places: Places, waiting: int) -> int:
    """About how many of the `waiting` jobs may start.

    A picked job counts as the share of its key's jobs that may start: a fifth, if the key has room
    for 2 of its 10.
    """
    each = waiting / sum(row.times for row in rows)
    jobs = _jobs_of_keys(rows, each)
    may_start = sum(
        row.times * min([1.0, *(free / jobs[key] for key, free in places.bounded(row).items())])
        for row in rows
    )
    return min(sample.rounded(each * may_start), waiting)


def _jobs_of_keys(rows: Sequence[Any], each: float) -> dict[str, float]:
    """How many jobs wait for each key, if a picked one stands for so many.

    That is known where all jobs of a key were counted: they are not too many, and were picked with
    the same kind and keys only.
    """
    times: Counter[str] = Counter()
    due: Counter[str] = Counter()
    for row in rows:
        times.update(dict.fromkeys(row.keys, row.times))
        due.update(dict.fromkeys(row.keys, row.due))
    rows_of = Counter(key for row in rows for key in row.keys)
    is_counted = {key for key in due if rows_of[key] == 1 and due[key] < MOST_OF_A_KEY}
    return {key: due[key] if key in is_counted else max(due[key], times[key] * each) for key in due}
