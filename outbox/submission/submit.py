"""Submits jobs in the caller's transaction: the beginning of a job's life."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from outbox.events import Submitted, is_wanted
from outbox.kinds import Priority, Work
from outbox.postgres.after_commit import announce
from outbox.submission.pending import add
from outbox.submission.statement import Row
from outbox.values import depth, nul

PARENT = "duly.parent"
"""In `Session.info` of an actor's transaction: the running job, parent of the jobs it submits."""


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """A job as submitted; it exists once the caller's transaction has committed."""

    id: UUID
    kind: str
    queue: str
    run_at: datetime | None
    """The job is held back until then; None if it is not held back."""


class Options(TypedDict, total=False):
    """The options of a job; see `submit`."""

    run_at: datetime | None
    priority: Priority | None
    subject: str | None
    by: str | None


def submit(
    session: Session | AsyncSession, work: Work[Any], **options: Unpack[Options]
) -> SubmittedJob:
    """Have a job and its outbox event written by the commit of the session's transaction.

    Nothing is awaited, and nothing written yet: a query of the transaction does not find the job.
    It belongs to the transaction as an added row does. If that rolls back, or the savepoint in
    which it was submitted, or if the process dies before the commit, there is no job. Once it has
    committed, the job runs. Several jobs of one transaction are written in one round trip.

    `run_at` (with a time zone) holds the job back, however long. `subject` says what the job is
    about, such as `invoice:<id>`, so that it can be found again. `by` says who asked for it. In an
    actor's transaction the running job becomes the parent, and its subject is the default.

    Raises ValueError for a `run_at` without time zone, an unknown `priority`, a payload nested
    deeper than `depth.DEEPEST`, with NaN in it, or that its kind cannot read again, and text that
    Postgres cannot store (a NUL, a lone surrogate), and what a statement would raise if the session
    can run none. While jobs wait, its connection's own `commit()` raises RuntimeError and rolls
    back: it would forget them. So it does after the session was closed without a commit or
    rollback, in a transaction that its connection began.
    """
    return submit_all(session, [work], **options)[0]


def submit_all(
    session: Session | AsyncSession, works: Iterable[Work[Any]], **options: Unpack[Options]
) -> list[SubmittedJob]:
    """Submit many jobs of any kinds, as `submit` does; the results are in their order."""
    own = session.sync_session if isinstance(session, AsyncSession) else session
    jobs, rows = _jobs(own, works, **options)
    if rows:
        add(own, rows, may_write=own is session)
        if is_wanted(Submitted):
            _announce(own, jobs)
    return jobs


def _announce(session: Session, jobs: Iterable[SubmittedJob]) -> None:
    parent: Any = session.info.get(PARENT)
    parent_id = parent.id if parent else None
    for job in jobs:
        fields: Any = {"queue": job.queue, "run_at": job.run_at, "parent_id": parent_id}
        announce(session, Submitted(job_id=job.id, kind=job.kind, **fields))


def _jobs(
    session: Session,
    works: Iterable[Work[Any]],
    *,
    run_at: datetime | None = None,
    priority: Priority | None = None,
    subject: str | None = None,
    by: str | None = None,
) -> tuple[list[SubmittedJob], list[Row]]:
    """The jobs for the caller, and the rows to write."""
    if run_at is not None and run_at.utcoffset() is None:
        raise ValueError("run_at needs a time zone")
    parent = session.info.get(PARENT)
    common = {
        "run_at": run_at.isoformat() if run_at else None,
        "subject": _storable(subject) or (parent.subject if parent else None),
        "parent_id": str(parent.id) if parent else None,
        "submitted_by": _storable(by),
    }
    jobs, rows = [], []
    for work in works:
        if not isinstance(work, Work):
            raise TypeError(f"a kind makes what is submitted, KIND(...): not {type(work).__name__}")
        job = SubmittedJob(uuid7(), work.kind.name, work.kind.queue, run_at)
        jobs.append(job)
        rows.append(_row(job, work, priority) | common)
    return jobs, rows


def _row(job: SubmittedJob, work: Work[Any], priority: Priority | None) -> Row:
    return {
        "id": job.id.hex,
        "kind": job.kind,
        "queue": job.queue,
        "priority": str(int(work.kind.priority if priority is None else Priority(priority))),
        "payload": _storable_json(work.to_json()),
        "budget": str(work.kind.retry.attempts),
    }


def _storable(text: str | None) -> str | None:
    """The text. Raises ValueError if Postgres would cut it off, or fail the commit for it."""
    if text is not None and b"\0" in text.encode():
        raise ValueError("subject and by may not contain NUL")
    return text


def _storable_json(payload: str) -> str:
    """The payload. Raises ValueError before Postgres refuses it with an error that quotes it."""
    if nul.is_in_json(payload):
        raise ValueError("a payload may not contain NUL")
    depth.check(payload)
    return payload
