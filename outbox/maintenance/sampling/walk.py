"""Looks at the jobs of a state one part after the other, for those that are not as they should be.

A whole table would be too much for one look. The next look goes on where this one ended, and after
the end at the beginning, so each job is looked at once in a while. What was found wrong is looked
at again each time, so that it is known at once when that is right again.
"""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

MOST_LOOKED_AT = 4_000
"""How many jobs one look takes up."""
MOST_REMEMBERED = 1_000
"""So many wrong jobs are known at once; a table with more of them shows no more."""

_LOOKED_AT = """looked_at AS (
    SELECT id, dispatch FROM walked
    UNION
    SELECT id, dispatch FROM duly.jobs WHERE id = ANY (%(known)s::uuid[]) AND state || '' = {state}
)"""
_FOUND = """
SELECT ARRAY(SELECT id FROM wrong ORDER BY id LIMIT %(remembered)s) AS wrong,
       (SELECT count(*) FROM walked) AS walked,
       (SELECT max(run_at)::text FROM walked) AS run_at,
"""
# A queued job waits as an outbox event of its dispatch, or has left the outbox as part of a
# publication. Those are only read where there are jobs without an event.
QUEUED = f"""
WITH walked AS MATERIALIZED (
    SELECT id, dispatch, run_at FROM duly.jobs
    WHERE state = 'queued' AND (run_at, id) > (%(run_at)s::timestamptz, %(id)s::uuid)
    ORDER BY run_at, id
    LIMIT %(most)s
), {_LOOKED_AT.format(state="'queued'")}, eventless AS MATERIALIZED (
    SELECT id, dispatch FROM looked_at
    WHERE dispatch IS DISTINCT FROM (
        SELECT event.dispatch FROM duly.outbox_events AS event WHERE event.job_id = looked_at.id
    )
), wrong AS MATERIALIZED (
    SELECT id, dispatch FROM eventless
    EXCEPT
    SELECT sent.job_id, sent.dispatch
    FROM duly.publications CROSS JOIN unnest(job_ids, dispatches) AS sent (job_id, dispatch)
    WHERE EXISTS (SELECT FROM eventless)
){_FOUND}       (SELECT id FROM walked ORDER BY run_at DESC, id DESC LIMIT 1) AS id
"""  # noqa: S608 - no input
# A dead job has the letter of its dispatch, open or closed.
DEAD = f"""
WITH walked AS MATERIALIZED (
    SELECT id, dispatch, run_at FROM duly.jobs
    WHERE state = 'dead' AND id > %(id)s::uuid
    ORDER BY id
    LIMIT %(most)s
), {_LOOKED_AT.format(state="'dead'")}, wrong AS MATERIALIZED (
    SELECT id FROM looked_at
    WHERE (SELECT letter.id FROM duly.dead_letters AS letter
           WHERE letter.job_id = looked_at.id AND letter.dispatch = looked_at.dispatch) IS NULL
){_FOUND}       (SELECT id FROM walked ORDER BY id DESC LIMIT 1) AS id
"""  # noqa: S608

START: dict[str, Any] = {"run_at": "-infinity", "id": UUID(int=0)}
"""Before the first job, in the order of each walk."""


class Walk:
    """Goes round and round by one of the statements above."""

    def __init__(self, statement: str) -> None:
        self._statement = statement
        self._place = START
        self._wrong: list[UUID] = []

    def look(self, session: Session) -> int:
        """Look at the next part, and again at what was wrong; returns how many jobs are wrong now.

        As far as they are known: at most `MOST_REMEMBERED`. Raises SQLAlchemy's errors, and then
        the next look is at the same part.
        """
        asked = {"most": MOST_LOOKED_AT, "known": self._wrong, "remembered": MOST_REMEMBERED}
        found = session.connection().exec_driver_sql(self._statement, self._place | asked).one()
        is_end = found.walked < MOST_LOOKED_AT
        self._place = START if is_end else {"run_at": found.run_at, "id": found.id}
        self._wrong = found.wrong
        return len(self._wrong)

    def some(self, _session: Session, most: int) -> list[UUID]:
        """Up to so many of the jobs that the last look found wrong."""
        return self._wrong[:most]
