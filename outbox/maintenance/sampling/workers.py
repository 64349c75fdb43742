"""Counts the jobs that run although their worker is gone."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox.maintenance.failure_detector import FailureDetector

RESCUED_WITHIN = timedelta(seconds=20)
"""How long after a worker's silence its jobs should have been rescued."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)

_RUNNING = text("""
SELECT coalesce(job.worker, '') AS worker, job.jobs, worker.heartbeat_at
FROM (
    SELECT worker, count(*) AS jobs FROM duly.jobs WHERE state = 'running' GROUP BY worker
) AS job
LEFT JOIN duly.workers AS worker ON worker.name = job.worker
""")

_SOME = text("""
SELECT id FROM duly.jobs
WHERE state = 'running' AND coalesce(worker, '') = ANY (:silent) ORDER BY worker, id LIMIT :most
""")


class Orphans:
    """Judges workers as the rescuer does: by heartbeats that do not change, by no clock."""

    def __init__(self, silence: timedelta, interval: float) -> None:
        """`silence` is when the rescuer takes jobs away; there is a look at each `interval`."""
        self._detector = FailureDetector(silence + RESCUED_WITHIN, interval)

    def look(self, session: Session) -> int:
        """How many jobs run whose worker has been silent, or not there, for too long.

        It costs as much as there are running jobs. Raises SQLAlchemy's errors.
        """
        found = session.execute(_RUNNING).all()
        self._detector.look({row.worker: row.heartbeat_at or NEVER for row in found})
        silent = set(self._detector.silent)
        return sum(row.jobs for row in found if row.worker in silent)

    def some(self, session: Session, most: int) -> list[UUID]:
        """Up to so many of the jobs that the last look counted."""
        asked = {"silent": list(self._detector.silent), "most": most}
        return list(session.scalars(_SOME, asked))
