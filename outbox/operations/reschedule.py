"""Gives a queued job another time, priority or queue."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from outbox.events import Rescheduled
from outbox.kinds import QUEUE, Priority
from outbox.operations import acts
from outbox.postgres.after_commit import announce
from outbox.store import transitions
from outbox.submission.pending import wake_up_after_commit


def reschedule(
    session: Session,
    job_id: UUID,
    *,
    run_at: datetime | None = None,
    priority: Priority | None = None,
    queue: str | None = None,
    by: str,
    why: str | None = None,
) -> bool:
    """Publish a queued job anew, with what is given; the rest stays as it is.

    A `run_at` in the past means now. Returns whether the job was queued, and does not expire before
    it may run. Messages of the job that were on their way then start nothing. Records who and why
    in the same transaction; if the process dies before its commit, the job is as it was. Raises
    ValueError if `by` names nobody, for a `run_at` without time zone, and for what is no name of a
    queue.
    """
    if run_at is not None and run_at.utcoffset() is None:
        raise ValueError("run_at needs a time zone")
    change = {
        "id": job_id,
        "run_at": run_at,
        "priority": None if priority is None else int(Priority(priority)),
        "queue": None if queue is None else queue_name(queue),
    }
    parameters = change | {"by": acts.named(by), "why": why or None}
    row = session.connection().exec_driver_sql(transitions.RESCHEDULE, parameters).first()
    if row is None:
        return False
    wake_up_after_commit(session)
    news = {"kind": row.kind, "queue": row.queue, "run_at": row.run_at, "by": by, "why": why}
    announce(session, Rescheduled(job_id=job_id, **news))
    return True


def queue_name(text: str) -> str:
    """Return the text. Raises ValueError if no queue can have this name."""
    if not QUEUE.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a queue")
    return text
