"""The keys that jobs hold, that people have limited or that receivers have paused."""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy.orm import Session

from outbox.flow.keys import Key
from outbox.flow.rates import Rate
from outbox.kinds import Kinds
from outbox.operations.flow import key_limits
from outbox.operations.flow.key_limits import KeyLimit
from outbox.store.transitions.flow.admission import COUNTS

MOST_WAITING = 1_000
"""Up to how many waiting jobs are counted, for each kind and keys."""

HOLDING = f"""
SELECT holder.key, job.id, job.queue, job.kind, job.keys, job.state
FROM duly.key_holders AS holder
JOIN duly.jobs AS job ON job.id = holder.job_id
WHERE {COUNTS}
"""  # noqa: S608 - no input
"""The jobs that hold keys. `held` are the kinds whose dead jobs do."""

# Waiting jobs are counted where those that hold the key are from: an index range of each.
_LIST = f"""
WITH holding AS ({HOLDING}), paused AS (
    SELECT key, not_before FROM duly.key_clocks WHERE not_before > now()
), listed AS (
    SELECT key COLLATE "C" AS key FROM (
        SELECT key FROM holding
        UNION SELECT key FROM duly.key_limits
        UNION SELECT key FROM paused
    ) AS known
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
SELECT listed.key, paused.not_before AS paused_until, held.kind, held.keys, held.running,
       held.admitted, held.dead, (
    SELECT count(*) FROM (
        SELECT FROM unnest('{{0,1,2,3,4,5}}'::smallint[]) AS level
        JOIN duly.outbox_events AS event ON event.queue = held.queue AND event.priority = level
         AND event.kind = held.kind AND event.keys = held.keys
        LIMIT %(most)s
    ) AS waiting
) AS waiting
FROM listed
LEFT JOIN held ON held.key = listed.key
LEFT JOIN paused ON paused.key = listed.key
ORDER BY listed.key COLLATE "C"
"""  # noqa: S608 - no input


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
    dead: int
    """Those that hold it until somebody closes their dead letter."""
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
    asked = {"after": after, "limit": limit, "most": MOST_WAITING, "held": kinds.holding}
    rows = session.connection().exec_driver_sql(_LIST, asked).all()
    found = {key: list(of) for key, of in groupby(rows, lambda row: str(row.key))}
    were_set = key_limits.find(session, found)
    return [_in_use(key, of, kinds, were_set.get(key)) for key, of in found.items()]


def _in_use(key: str, found: list[Any], kinds: Kinds, was_set: KeyLimit | None) -> KeyInUse:
    rows = [row for row in found if row.kind]
    limits = [limit_of(key, row, kinds, was_set) for row in rows]
    rates = [rate_of(key, row, kinds, was_set) for row in rows]
    if was_set and not rows:
        limits, rates = [was_set.at_most], [was_set.rate]
    return KeyInUse(
        key=key,
        at_most=min((each for each in limits if each), default=None),
        running=sum(row.running for row in rows),
        admitted=sum(row.admitted for row in rows),
        dead=sum(row.dead for row in rows),
        waiting=min(sum(row.waiting for row in rows), MOST_WAITING),
        rate=max((each for each in rates if each), key=lambda rate: rate.spacing_us, default=None),
        paused_until=found[0].paused_until,
        set=was_set,
    )


def limit_of(key: str, row: Any, kinds: Kinds, was_set: KeyLimit | None) -> int | None:
    """The limit of this key for jobs of the row's kind and keys; what was set for it counts."""
    declared = _declared(key, row, kinds)
    if declared is None:
        return None if row.kind in kinds else 1
    return declared.limit(was_set.at_most if was_set else None)


def rate_of(key: str, row: Any, kinds: Kinds, was_set: KeyLimit | None) -> Rate | None:
    """The rate of this key, in the same way."""
    declared = _declared(key, row, kinds)
    if declared is None or not kinds[row.kind].is_rated:
        return None
    return (was_set and was_set.rate) or declared.rate


def _declared(key: str, row: Any, kinds: Kinds) -> Key | None:
    """What the kind says of this key; its jobs may have been submitted with other keys."""
    place = row.keys.index(key)
    keys = kinds[row.kind].keys if row.kind in kinds else ()
    return keys[place] if place < len(keys) else None
