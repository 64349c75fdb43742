"""The open dead letters of each queue."""

from sqlalchemy.orm import Session

from outbox.operations.backlog import sample
from outbox.operations.backlog.queue_status import MOST_COUNTED, Queues

# Of each queue, up to so many entries of an index of open ones alone are read.
_LETTERS = """
WITH RECURSIVE found AS (
    (SELECT queue FROM duly.dead_letters WHERE closed_at IS NULL ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT letter.queue FROM duly.dead_letters AS letter
            WHERE closed_at IS NULL AND letter.queue > found.queue ORDER BY letter.queue LIMIT 1)
    FROM found
    WHERE found.queue IS NOT NULL
)
SELECT found.queue, counted.dead
FROM found
CROSS JOIN LATERAL (
    SELECT count(*) AS dead
    FROM (SELECT FROM duly.dead_letters AS letter
          WHERE closed_at IS NULL AND letter.queue >= found.queue AND letter.queue <= found.queue
          ORDER BY letter.queue LIMIT %(most)s + 1) AS letter
) AS counted
WHERE found.queue IS NOT NULL
"""


def count(session: Session, queues: Queues) -> None:
    """Count them; those of a queue with more than `MOST_COUNTED` are estimated from a sample."""
    asked = {"most": MOST_COUNTED}
    rows = session.connection().exec_driver_sql(_LETTERS, asked)
    found = {row.queue: row.dead for row in rows}
    is_cut = any(number > MOST_COUNTED for number in found.values())
    guesses = sample.letters(session) if is_cut else {}
    for name, number in found.items():
        queues[name].dead = number
        if number > MOST_COUNTED:
            queues[name].dead = max(number, guesses.get(name, 0))
            queues[name].estimate("dead")
