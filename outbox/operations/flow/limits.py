"""The keys that jobs hold now, as people see them."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy.orm import Session

from outbox.kinds import Kinds

MOST_WAITING = 1_000
"""Up to how many waiting jobs are counted, for each kind and keys."""

HOLDING = """
SELECT holder.key, job.id, job.queue, job.kind, job.keys, job.state
FROM duly.key_holders AS holder
JOIN duly.jobs AS job ON job.id = holder.job_id AND job.dispatch = holder.dispatch
WHERE job.state || '' IN ('queued', 'running')
   OR job.state || '' = 'dead' AND job.kind = ANY (%(held)s::text[]) AND job.keys[1] = holder.key
      AND EXISTS (SELECT FROM duly.dead_letters AS letter
                  WHERE letter.job_id = job.id AND letter.dispatch = job.dispatch
                    AND letter.closed_at IS NULL)
"""
"""The jobs that hold keys. `held` are the kinds whose dead jobs do."""

# Waiting jobs are counted where those that hold the key are from: an index range of each.
_LIST = f"""
WITH holding AS ({HOLDING}), listed AS (
    SELECT DISTINCT key COLLATE "C" AS key FROM holding
    WHERE %(after)s::text IS NULL OR key COLLATE "C" > %(after)s::text
    ORDER BY 1
    LIMIT %(limit)s
), held AS (
    SELECT key, queue, kind, keys,
           count(*) FILTER (WHERE state = 'running') AS running,
           count(*) FILTER (WHERE state = 'queued') AS admitted,
           count(*) FILTER (WHERE state = 'dead') AS dead
    FROM holding
    WHERE key IN (SELECT key FROM listed)
    GROUP BY key, queue, kind, keys
)
SELECT held.*, (
    SELECT count(*) FROM (
        SELECT FROM unnest('{{0,1,2,3,4,5}}'::smallint[]) AS level
        JOIN duly.outbox_events AS event ON event.queue = held.queue AND event.priority = level
         AND event.kind = held.kind AND event.keys = held.keys
        LIMIT %(most)s
    ) AS waiting
) AS waiting
FROM held
ORDER BY key COLLATE "C"
"""  # noqa: S608 - no input


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """A key that jobs hold. `at_most` is the least limit of their kinds, None if none has one."""

    key: str
    at_most: int | None
    running: int
    admitted: int
    """Those that may start: they are on their way to a worker."""
    dead: int
    """Those that hold it until somebody closes their dead letter."""
    waiting: int
    """Those that wait, of the same kinds and keys as those that hold it: counted up to 1,000."""


def find(
    session: Session, kinds: Kinds, *, limit: int = 50, after: str | None = None
) -> list[KeyInUse]:
    """The keys that are held now, in order, from those after the key `after`."""
    asked = {"after": after, "limit": limit, "most": MOST_WAITING, "held": holding_kinds(kinds)}
    rows = session.connection().exec_driver_sql(_LIST, asked).all()
    return [_in_use(key, list(of), kinds) for key, of in groupby(rows, lambda row: str(row.key))]


def holding_kinds(kinds: Kinds) -> list[str]:
    """Those whose dead jobs hold their first key."""
    return [each.name for each in kinds.values() if any(key.hold for key in each.keys)]


def _in_use(key: str, rows: list[Any], kinds: Kinds) -> KeyInUse:
    limits = [_limit(key, row, kinds) for row in rows]
    return KeyInUse(
        key=key,
        at_most=min((each for each in limits if each), default=None),
        running=sum(row.running for row in rows),
        admitted=sum(row.admitted for row in rows),
        dead=sum(row.dead for row in rows),
        waiting=min(sum(row.waiting for row in rows), MOST_WAITING),
    )


def _limit(key: str, row: Any, kinds: Kinds) -> int | None:
    declared = kinds.get(row.kind)
    place = row.keys.index(key)
    if declared is None:
        return 1
    return declared.keys[place].at_most if place < len(declared.keys) else None
