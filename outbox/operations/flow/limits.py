"""The keys that jobs hold, that people have limited or that receivers have paused."""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox.flow.keys import Key
from outbox.flow.rates import Rate
from outbox.kinds import Kinds
from outbox.operations.flow import key_limits
from outbox.operations.flow.key_limits import KeyLimit

MOST_WAITING = 1_000
"""Up to how many waiting jobs are counted, for each kind and keys."""

_LISTED = text("""
SELECT listed.key, clock.not_before AS paused_until FROM (
    (SELECT DISTINCT key FROM duly.key_holders
     WHERE CAST(:after AS text) IS NULL OR key > :after ORDER BY key LIMIT :limit)
    UNION
    (SELECT key FROM duly.key_limits
     WHERE CAST(:after AS text) IS NULL OR key > :after ORDER BY key LIMIT :limit)
    UNION
    (SELECT key FROM duly.key_clocks
     WHERE not_before > now() AND (CAST(:after AS text) IS NULL OR key > :after)
     ORDER BY key LIMIT :limit)
) AS listed
LEFT JOIN duly.key_clocks AS clock ON clock.key = listed.key AND clock.not_before > now()
ORDER BY listed.key
LIMIT :limit
""")

# Waiting jobs are counted where those that hold the key are from: an index range of each.
_HOLDERS = text("""
WITH held AS (
    SELECT holder.key, job.queue, job.kind, job.keys,
           count(*) FILTER (WHERE job.state || '' = 'running') AS running,
           count(*) FILTER (WHERE job.state || '' = 'queued') AS admitted,
           count(*) FILTER (WHERE job.state || '' = 'dead') AS dead
    FROM duly.key_holders AS holder
    JOIN duly.jobs AS job ON job.id = holder.job_id AND job.dispatch = holder.dispatch
    WHERE holder.key = ANY (:keys)
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
ORDER BY key
""")


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """A key that jobs hold, that somebody has limited, or that a receiver has paused.

    `at_most` and `rate` are the least that hold for its jobs, None if there are none.
    """

    key: str
    at_most: int | None
    running: int
    admitted: int
    """Those that may start: they are on their way to a worker."""
    waiting: int
    """Those that wait, of the same kinds and keys as those that hold it: counted up to 1,000."""
    rate: Rate | None = None
    paused_until: datetime | None = None
    set: KeyLimit | None = None
    """What somebody has set in place of what kinds declare."""


def find(
    session: Session, kinds: Kinds, *, limit: int = 50, after: str | None = None
) -> list[KeyInUse]:
    """The keys in order, from those after the key `after`."""
    listed = session.execute(_LISTED, {"after": after, "limit": limit}).all()
    keys = [row.key for row in listed]
    rows = session.execute(_HOLDERS, {"keys": keys, "most": MOST_WAITING}).all()
    held = {key: list(of) for key, of in groupby(rows, lambda row: str(row.key))}
    were_set = key_limits.find(session, keys)
    found = (_in_use(row, held.get(row.key, []), kinds, were_set.get(row.key)) for row in listed)
    return [
        each
        for each in found
        if each.running or each.admitted or each.waiting or each.set or each.paused_until
    ]


def _in_use(listed: Any, rows: list[Any], kinds: Kinds, was_set: KeyLimit | None) -> KeyInUse:
    limits = [_limit(listed.key, row, kinds, was_set) for row in rows]
    rates = [_rate(listed.key, row, kinds, was_set) for row in rows]
    if was_set and not rows:
        limits, rates = [was_set.at_most], [was_set.rate]
    return KeyInUse(
        key=listed.key,
        at_most=min((each for each in limits if each), default=None),
        running=sum(row.running for row in rows),
        admitted=sum(row.admitted for row in rows),
        waiting=min(sum(row.waiting for row in rows), MOST_WAITING),
        rate=max((each for each in rates if each), key=lambda rate: rate.spacing_us, default=None),
        paused_until=listed.paused_until,
        set=was_set,
    )


def _limit(key: str, row: Any, kinds: Kinds, was_set: KeyLimit | None) -> int | None:
    declared = _declared(key, row, kinds)
    if declared is None:
        return None if row.kind in kinds else 1
    return declared.limit(was_set.at_most if was_set else None)


def _rate(key: str, row: Any, kinds: Kinds, was_set: KeyLimit | None) -> Rate | None:
    declared = _declared(key, row, kinds)
    if declared is None or not kinds[row.kind].is_rated:
        return None
    return (was_set and was_set.rate) or declared.rate


def _declared(key: str, row: Any, kinds: Kinds) -> Key | None:
    """What the kind says of this key; its jobs may have been submitted with other keys."""
    place = row.keys.index(key)
    keys = kinds[row.kind].keys if row.kind in kinds else ()
    return keys[place] if place < len(keys) else None
