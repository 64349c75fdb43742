"""Which of some jobs have ended: for those who wait for them."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

# The jobs are filtered by `ANY` before they are joined, so that Postgres reads them by their index,
# whatever it thinks of the table's size.
_ENDED = text("""
SELECT asked.id, job.state
FROM unnest(CAST(:ids AS uuid[])) AS asked (id)
LEFT JOIN (
    SELECT id, state, finished_at FROM duly.jobs WHERE id = ANY (CAST(:ids AS uuid[]))
) AS job ON job.id = asked.id
WHERE job.id IS NULL OR job.finished_at IS NOT NULL
""")


def ended(session: Session, ids: Collection[UUID]) -> dict[UUID, str | None]:
    """Those of the jobs that have ended, with their states; None for a job that is not there.

    One statement, however many jobs are asked for.
    """
    return {row.id: row.state for row in session.execute(_ENDED, {"ids": list(ids)})}
