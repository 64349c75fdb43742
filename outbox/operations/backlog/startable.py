"""How many of the jobs that wait for their keys could start now: these are work for workers, too.

A relay admits only what begins within a moment. So most of a backlog with keys waits for them, even
if they have no limit at all.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from outbox.kinds import Kinds
from outbox.operations.backlog import startable_sample
from outbox.operations.backlog.places import Places
from outbox.operations.backlog.queue_status import Queues, QueueStatus
from outbox.operations.flow import key_limits
from outbox.store.transitions.levels import levels_of

MOST_READ = 2_000
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

    Of a queue in which more wait than are read, the number is an estimate from a sample, and at
    least what was read.
    """
    if not any(queue.held.total for queue in queues.values()):
        return
    was_set = key_limits.all_set(session)
    free = [] if was_set else [name for name, kind in kinds.items() if not _has_limit(kind)]
    asked = {"free": free, "most": MOST_READ}
    rows = session.connection().exec_driver_sql(_WAITING, asked).all()
    places = Places(session, kinds, was_set, rows)
    long = []
    for name, of in _by_queue(rows).items():
        queues[name].startable = _startable(of, places)
        if queues[name].held.total > sum(row.due for row in of):
            long.append(queues[name])
    if long:
        picked = startable_sample.read(session, [each.queue for each in long], free)
        _estimate(long, _by_queue(picked), Places(session, kinds, was_set, picked))


def _estimate(
    queues: Iterable[QueueStatus], picked: Mapping[str, Sequence[Any]], places: Places
) -> None:
    for queue in queues:
        queue.estimated.add("work")
        if of := picked.get(queue.queue):
            guess = startable_sample.estimate(of, places, queue.held.total)
            queue.startable = max(queue.startable, guess)


def _startable(rows: Iterable[Any], places: Places) -> int:
    """How many jobs of these rows may start, if each takes the places of its keys."""
    total = 0
    taken: Counter[str] = Counter()
    for row in rows:
        left = [free - taken[key] for key, free in places.bounded(row).items()]
        starts = max(0, min([row.due, *left]))
        taken.update(dict.fromkeys(row.keys, starts))
        total += starts
    return total


def _by_queue(rows: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.queue, []).append(row)
    return found


def _has_limit(kind: Any) -> bool:
    return any(key.at_most or key.rate for key in kind.keys)
