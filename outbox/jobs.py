"""Jobs as clients and ops see them: get, list, cancel."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from outbox import acts, steps
from outbox.schema import attempts as attempts_table
from outbox.schema import jobs as jobs_table

LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A row of `jobs`. `payload` and `result` are unredacted: show them through `redact`."""

    id: UUID
    kind: str
    queue: str
    priority: int
    payload: dict[str, Any]
    state: str
    dispatch: int
    attempt: int
    attempt_limit: int
    worker: str | None
    result: Any
    subject: str | None
    parent_id: UUID | None
    submitted_by: str | None
    created_at: datetime
    run_at: datetime
    started_at: datetime | None
    cancel_requested_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One run that did not succeed, with its error."""

    attempt: int
    outcome: str
    error_type: str
    error_message: str
    traceback: str | None
    worker: str | None
    started_at: datetime | None
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; what is None does not restrict."""

    state: str | None = None
    kind: str | None = None
    queue: str | None = None
    subject: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filter as SQL."""
        wanted = {
            "state": self.state,
            "kind": self.kind,
            "queue": self.queue,
            "subject": self.subject,
        }
        return [jobs_table.c[name] == value for name, value in wanted.items() if value is not None]


def get(session: Session, job_id: UUID) -> JobRecord | None:
    """The job, or None where there is none."""
    row = session.execute(_columns().where(jobs_table.c.id == job_id)).mappings().first()
    return JobRecord(**row) if row else None


def find(
    session: Session, wanted: JobFilter, *, limit: int = 50, before: UUID | None = None
) -> list[JobRecord]:
    """The newest jobs first, from those older than the job `before`.

    Ids are UUIDv7 and so in order of creation: paging by id needs no offset and no further index.
    """
    query = _columns().where(*wanted.conditions()).order_by(jobs_table.c.id.desc())
    if before is not None:
        query = query.where(jobs_table.c.id < before)
    rows = session.execute(query.limit(min(limit, LARGEST_PAGE))).mappings()
    return [JobRecord(**row) for row in rows]


def attempts(session: Session, job_id: UUID) -> list[AttemptRecord]:
    """The job's failed attempts, first to last; the one that runs or succeeded is the job's own."""
    names = list(AttemptRecord.__dataclass_fields__)
    query = (
        select(*(attempts_table.c[name] for name in names))
        .where(attempts_table.c.job_id == job_id)
        .order_by(attempts_table.c.attempt)
    )
    return [AttemptRecord(**row) for row in session.execute(query).mappings()]


def cancel(session: Session, job_id: UUID, *, by: str, why: str | None = None) -> str | None:
    """Cancel a queued job, or ask a running one not to run again.

    Returns its state now: `cancelled`, or `running` where it was only asked; None where there is
    no such job or it has ended already. Records who and why in the same transaction. Raises
    ValueError where `by` is empty.
    """
    parameters = {"id": job_id, "by": acts.named(by), "why": why or None}
    state: str | None = session.connection().exec_driver_sql(steps.CANCEL, parameters).scalar()
    return state


def _columns() -> Select[Any]:
    return select(*(jobs_table.c[name] for name in JobRecord.__dataclass_fields__))
