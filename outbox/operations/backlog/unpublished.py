"""For how long a relay has left undone what it could do, for each queue."""

from sqlalchemy.orm import Session

from outbox.kinds import Kinds
from outbox.operations.backlog.queue_status import Queues
from outbox.operations.flow import permit_times
from outbox.operations.flow.limits import HOLDING
from outbox.operations.flow.permit_times import RATED, next_permit
from outbox.store.transitions.levels import levels_of

MOST_LOOKED_AT = 200
"""Of the events of a queue and level that have keys, so many are looked at."""

# Events with keys that a relay would have admitted: no job of their queue, and none of their keys,
# was admitted, a permit is there, and they are the first of an ordered key. A dead job keeps its
# key, and nothing else of its queue. Not all are looked at, since it is enough to find one that has
# waited for long.
_UNADMITTED = f"""
WITH RECURSIVE {levels_of("found", "keys IS NOT NULL")}, holding AS MATERIALIZED ({HOLDING}),
{RATED}
SELECT found.queue,
       round(extract(epoch FROM now() - min(greatest(event.available_at, permit.at, 'epoch'))),
             1)::float8 AS seconds
FROM found
CROSS JOIN LATERAL (
    SELECT kind, keys, position, available_at FROM duly.outbox_events AS event
    WHERE keys IS NOT NULL AND event.queue = found.queue AND event.priority = found.priority
    ORDER BY kind, keys, available_at
    LIMIT %(most)s
) AS event
LEFT JOIN LATERAL {next_permit("event.kind", "event.keys")} AS permit ON true
WHERE greatest(event.available_at, permit.at) <= now()
  AND NOT (found.queue = ANY (ARRAY(SELECT queue FROM holding WHERE state <> 'dead'))
           OR event.keys && ARRAY(SELECT key FROM holding)
           OR event.position IS NOT NULL AND EXISTS (
               SELECT FROM duly.outbox_events AS earlier
               WHERE earlier.keys IS NOT NULL AND earlier.position IS NOT NULL
                 AND earlier.keys[1] = event.keys[1] AND earlier.position < event.position
           ))
GROUP BY found.queue
"""  # noqa: S608 - no input


def measure(session: Session, queues: Queues, kinds: Kinds) -> None:
    """Note for how long the oldest has waited, once the due ones were counted.

    With keys, it is the oldest of those that were looked at.
    """
    for queue in queues.values():
        queue.unpublished_seconds = queue.oldest_due_seconds
    asked = {"held": kinds.holding, "most": MOST_LOOKED_AT} | permit_times.parameters(kinds)
    for name, seconds in session.connection().exec_driver_sql(_UNADMITTED, asked):
        queues[name].waited("unpublished_seconds", seconds)
