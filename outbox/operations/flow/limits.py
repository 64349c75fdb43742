"""The keys that jobs hold now, as people see them."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox.kinds import Kinds

MOST_WAITING = 1_000
"""Up to how many waiting jobs are counted, for each kind and keys."""

# Waiting jobs are counted where those that hold the key are from: an index range of each.
_HOLDERS = text("""
WITH listed AS (
    SELECT DISTINCT key FROM duly.key_holders
    WHERE CAST(:after AS text) IS NULL OR key > :after
    ORDER BY key
    LIMIT :limit
), held AS (
    SELECT holder.key, job.queue, job.kind, job.keys,
           count(*) FILTER (WHERE job.state || '' = 'running') AS running,
           count(*) FILTER (WHERE job.state || '' = 'queued') AS admitted,
           count(*) FILTER (WHERE job.state || '' = 'dead') AS dead
    FROM duly.key_holders AS holder
    JOIN duly.jobs AS job ON job.id = holder.job_id AND job.dispatch = holder.dispatch
    WHERE holder.key IN (SELECT key FROM listed)
      AND job.state || '' IN ('queued', 'running', 'dead')
    GROUP BY holder.key, job.queue, job.kind, job.keys
)
SELECT held.*, (
    SELECT count(*) FROM (
        SELECT FROM unnest('{0,1,2,3,4,5}'::smallint[]) AS level
        JOIN duly.outbox_events AS event ON event.queue = held.queue AND event.priority = level
         AND event.kind = held.kind AND event.keys = held.keys
        LIMIT :most
    ) AS waiting
) AS waiting
FROM held
ORDER BY key COLLATE "C"
""")


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """A key that jobs hold. `at_most` is the least limit of their kinds, None if none has one."""

    key: str
    at_most: int | None
    running: int
    admitted: int
    """Those that may start: they are on their way to a worker."""
    waiting: int
    """Those that wait, of the same kinds and keys as those that hold it: counted up to 1,000."""


def find(
    session: Session, kinds: Kinds, *, limit: int = 50, after: str | None = None
) -> list[KeyInUse]:
    """The keys that are held now, in order, from those after the key `after`."""
    asked = {"after": after, "limit": limit, "most": MOST_WAITING}
    rows = session.execute(_HOLDERS, asked).all()
    found = [_in_use(key, list(of), kinds) for key, of in groupby(rows, lambda row: str(row.key))]
    return [each for each in found if each.running or each.admitted or each.waiting]


def _in_use(key: str, rows: list[Any], kinds: Kinds) -> KeyInUse:
    limits = [_limit(key, row, kinds) for row in rows]
    return KeyInUse(
        key=key,
        at_most=min((each for each in limits if each), default=None),
        running=sum(row.running for row in rows),
        admitted=sum(row.admitted for row in rows),
        waiting=min(sum(row.waiting for row in rows), MOST_WAITING),
    )


def _limit(key: str, row: Any, kinds: Kinds) -> int | None:
    declared = kinds.get(row.kind)
    place = row.keys.index(key)
    if declared is None:
        return 1
    return declared.keys[place].at_most if place < len(declared.keys) else None
