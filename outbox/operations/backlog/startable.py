"""How many of the jobs that wait for their keys could start now: these are work for workers, too.

A relay admits only what begins within a moment. So most of a backlog with keys waits for them, even
if they have no limit at all.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from outbox.kinds import Kinds
from outbox.operations.backlog.queue_status import Queues, QueueStatus
from outbox.operations.flow import key_limits, limits
from outbox.operations.flow.key_limits import KeyLimit
from outbox.store.transitions import COUNT_HOLDERS
from outbox.store.transitions.levels import levels_of

MOST_READ = 4_000
"""Of the events with keys, so many are read, of all queues and levels."""

# Kinds whose jobs no key ever holds back need no row for each of their keys.
_WAITING = f"""
WITH RECURSIVE {levels_of("found", "keys IS NOT NULL")}
SELECT found.queue, waiting.kind, waiting.keys, sum(waiting.due)::int AS due
FROM found
CROSS JOIN LATERAL (
    SELECT kind, CASE WHEN kind = ANY (%(free)s::text[]) THEN '{{}}' ELSE keys END AS keys,
           count(*) FILTER (WHERE available_at <= now()) AS due
    FROM (
        SELECT kind, keys, available_at FROM duly.outbox_events AS event
        WHERE keys IS NOT NULL AND event.queue = found.queue AND event.priority = found.priority
        ORDER BY kind, keys, available_at
        LIMIT (SELECT %(most)s / greatest(count(*), 1) FROM found)
    ) AS event
    GROUP BY 1, 2
) AS waiting
GROUP BY found.queue, waiting.kind, waiting.keys
"""  # noqa: S608 - no input


def count(session: Session, queues: Queues, kinds: Kinds) -> None:
    """Count them, once the held ones were counted.

    Of a backlog that is longer than what is read, the rest counts as what was read of kinds that
    have no limit.
    """
    if not any(queue.held.total for queue in queues.values()):
        return
    was_set = key_limits.all_set(session)
    free = [] if was_set else [name for name, kind in kinds.items() if not _has_limit(kind)]
    asked = {"free": free, "most": MOST_READ}
    rows = session.connection().exec_driver_sql(_WAITING, asked).all()
    room = _Room(kinds, was_set, _holders(session, kinds, rows))
    for name in {row.queue for row in rows}:
        _count(queues[name], [row for row in rows if row.queue == name], room)


def _count(queue: QueueStatus, rows: Iterable[Any], room: "_Room") -> None:
    read: Counter[bool] = Counter()
    for row in rows:
        starts = room.take(row)
        queue.startable += starts
        read[starts == row.due] += row.due
    if (more := queue.held.total - read.total()) > 0 and read[True]:
        queue.startable += more * read[True] // read.total()
        queue.estimated.add("work")


def _has_limit(kind: Any) -> bool:
    return any(key.at_most or key.rate for key in kind.keys)


def _holders(session: Session, kinds: Kinds, rows: Iterable[Any]) -> dict[str, int]:
    """How many jobs hold each of the keys."""
    keys = list({key for row in rows for key in row.keys})
    asked = {"keys": keys, "held": kinds.holding}
    return {row.key: row.held for row in session.connection().exec_driver_sql(COUNT_HOLDERS, asked)}


class _Room:
    """How many more jobs of each key may start."""

    def __init__(
        self, kinds: Kinds, was_set: Mapping[str, KeyLimit], held: Mapping[str, int]
    ) -> None:
        self._kinds = kinds
        self._set = was_set
        self._held = held
        self._taken: Counter[str] = Counter()

    def take(self, row: Any) -> int:
        """How many of the row's due jobs may start; they take their places."""
        left = {key: self._left(key, row) for key in row.keys}
        starts: int = min([row.due, *(each for each in left.values() if each is not None)])
        self._taken.update(dict.fromkeys(row.keys, starts))
        return starts

    def _left(self, key: str, row: Any) -> int | None:
        was_set = self._set.get(key)
        at_most = limits.limit_of(key, row, self._kinds, was_set)
        rate = limits.rate_of(key, row, self._kinds, was_set)
        bounds = [
            at_most - self._held.get(key, 0) if at_most else None,
            rate.burst if rate else None,
        ]
        least = min((each for each in bounds if each is not None), default=None)
        return None if least is None else max(0, least - self._taken[key])
