"""What Postgres says of each job, as committed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

TERMINAL = {"succeeded", "dead", "cancelled"}

EFFECTS = "CREATE TABLE effects (job_id uuid)"
"""What actors do, without any constraint, so that a second effect would show."""

FACTS = """
SELECT job.id, job.state, job.dispatch, job.attempt, job.attempt_limit, job.worker,
       job.run_at, job.started_at, job.finished_at,
       job.cancel_requested_at IS NOT NULL AS cancel_requested,
       (SELECT dispatch FROM duly.outbox_events WHERE job_id = job.id) AS event,
       ARRAY(SELECT sent.dispatch
             FROM duly.publications, unnest(job_ids, dispatches) AS sent (job_id, dispatch)
             WHERE sent.job_id = job.id) AS published,
       ARRAY(SELECT attempt FROM duly.attempts
             WHERE job_id = job.id ORDER BY attempt) AS attempts,
       ARRAY(SELECT dispatch FROM duly.dead_letters
             WHERE job_id = job.id ORDER BY id) AS letters,
       ARRAY(SELECT coalesce(resolution, 'open') FROM duly.dead_letters
             WHERE job_id = job.id ORDER BY id) AS resolutions,
       (SELECT count(*) FROM effects WHERE job_id = job.id) AS effects
FROM duly.jobs AS job
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """One job, with all that was written about it."""

    id: UUID
    state: str
    dispatch: int
    attempt: int
    attempt_limit: int
    worker: str | None
    run_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool
    event: int | None
    """The dispatch that its outbox event asks for."""
    published: list[int]
    """The dispatches that publications remember."""
    attempts: list[int]
    """The numbers of the failed attempts on record."""
    letters: list[int]
    """The dispatches that have a dead letter."""
    resolutions: list[str]
    """What became of each letter."""
    effects: int

    @property
    def has_ended(self) -> bool:
        """Whether it is in a terminal state."""
        return self.state in TERMINAL


def look(connection: psycopg.Connection[Any]) -> dict[UUID, Facts]:
    """All jobs, in one snapshot."""
    with connection.cursor(row_factory=class_row(Facts)) as cursor:
        return {facts.id: facts for facts in cursor.execute(FACTS)}
