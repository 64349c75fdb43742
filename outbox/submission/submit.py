"""Submits jobs in the caller's transaction: the beginning of a job's life."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypedDict, Unpack
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from outbox.events import Submitted, is_wanted
from outbox.flow.unique import Unique
from outbox.kinds import Priority, Work
from outbox.postgres.after_commit import announce
from outbox.postgres.round_trip import array
from outbox.submission.pending import add
from outbox.submission.rows import Row, UniqueRow
from outbox.submission.traced_rows import trace
from outbox.tracing.tracer import installed
from outbox.values.storable import storable, storable_json

PARENT = "duly.parent"
"""In `Session.info` of an actor's transaction: the running job, parent of the jobs it submits."""

BATCH = "duly.batch"
"""In `Session.info`: the id of the batch that jobs join which are submitted now."""


@dataclass(frozen=True, slots=True, eq=False)
class SubmittedJob:
    """A job as submitted; it exists once the caller's transaction has committed.

    Of a unique kind, `id` and `is_duplicate` are final once the job is written: by the commit, or
    by `flush_jobs`.
    """

    id: UUID
    kind: str
    queue: str
    run_at: datetime | None
    """The job is held back until then; None if it is not held back."""
    is_duplicate: bool = False
    """Whether this is a job that there was already, and `id` its id."""


class Options(TypedDict, total=False):
    """The options of a job; see `submit`."""

    run_at: datetime | None
    expires_at: datetime | None
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

    `run_at` (with a time zone) holds the job back, however long. If it has not begun by its
    `expires_at`, wherever it waits, it is cancelled and never runs; once begun it no longer
    expires. `subject` says what the job is about, such as `invoice:<id>`, so that it can be found
    again. `by` says who asked for it. In an actor's transaction the running job becomes the parent,
    and its subject is the default.

    A job of a unique kind whose key another job holds is not written: the result becomes that job,
    with its id, once it would have been written. Its transaction then locks the key until it ends,
    and others that submit a job of this key wait for it.

    Raises ValueError for a job of a unique kind in a batch, a `run_at` or `expires_at` without time
    zone, an `expires_at` that is not later than `run_at`, an unknown `priority`, a payload nested
    deeper than `depth.DEEPEST`, with NaN in it, or that its kind cannot read again, a key function
    that raises or makes no key (see `Key`), and text that Postgres cannot store (a NUL, a lone
    surrogate), and what a statement would raise if the session can run none. While jobs wait, its
    connection's own `commit()` raises RuntimeError and rolls back: it would forget them. So it does
    after the session was closed without a commit or rollback, in a transaction that its connection
    began.
    """
    return submit_all(session, [work], **options)[0]


def submit_all(
    session: Session | AsyncSession, works: Iterable[Work[Any]], **options: Unpack[Options]
) -> list[SubmittedJob]:
    """Submit many jobs of any kinds, as `submit` does; the results are in their order."""
    own = session.sync_session if isinstance(session, AsyncSession) else session
    jobs, rows = _jobs(own, works, **options)
    if rows:
        if (tracer := installed()) is not None:
            trace(tracer, rows)
        add(own, rows, may_write=own is session)
        if is_wanted(Submitted):
            _announce(own, jobs)
    return jobs


def check(work: Work[Any]) -> None:
    """Raise what `submit` raises for this work, whatever the session."""
    _jobs(Session(), [work])


def _announce(session: Session, jobs: Iterable[SubmittedJob]) -> None:
    parent: Any = session.info.get(PARENT)
    parent_id = parent.id if parent else None
    for job in jobs:
        fields: Any = {"queue": job.queue, "run_at": job.run_at, "parent_id": parent_id}
        event = Submitted(job_id=job.id, kind=job.kind, **fields)
        announce(session, event, unless=partial(getattr, job, "is_duplicate"))


def _jobs(
    session: Session,
    works: Iterable[Work[Any]],
    *,
    run_at: datetime | None = None,
    expires_at: datetime | None = None,
    priority: Priority | None = None,
    subject: str | None = None,
    by: str | None = None,
) -> tuple[list[SubmittedJob], list[Row]]:
    """The jobs for the caller, and the rows to write."""
    _check_times(run_at, expires_at)
    parent = session.info.get(PARENT)
    told = {
        "run_at": run_at.isoformat() if run_at else None,
        "expires_at": expires_at.isoformat() if expires_at else None,
        "subject": storable(subject) or (parent.subject if parent else None),
        "parent_id": str(parent.id) if parent else None,
        "submitted_by": storable(by),
    }
    common: Row = {name: value for name, value in told.items() if value is not None}
    if batch := session.info.get(BATCH):
        common["batch_id"] = str(batch)
    jobs, rows = [], []
    for work in works:
        if not isinstance(work, Work):
            raise TypeError(f"a kind makes what is submitted, KIND(...): not {type(work).__name__}")
        job = SubmittedJob(uuid7(), work.kind.name, work.kind.queue, run_at)
        jobs.append(job)
        row = _row(job, work, priority) | common
        rows.append(_unique(work.kind.unique, row, job) if work.kind.unique else row)
    return jobs, rows


def _unique(unique: Unique, row: Row, job: SubmittedJob) -> Row:
    if "batch_id" in row:
        raise ValueError(f"{job.kind}: jobs of a unique kind are no members of batches")
    try:
        return UniqueRow(row, unique, from_json(row["payload"] or ""), partial(_become, job))
    except ValueError as error:
        raise ValueError(f"{job.kind}: {error}") from None


def _become(job: SubmittedJob, holder: UUID) -> None:
    """Make it the job that holds its key, which may be itself."""
    object.__setattr__(job, "is_duplicate", holder != job.id)
    object.__setattr__(job, "id", holder)


def _row(job: SubmittedJob, work: Work[Any], priority: Priority | None) -> Row:
    row: Row = {
        "id": job.id.hex,
        "kind": job.kind,
        "queue": job.queue,
        "priority": str(int(work.kind.priority if priority is None else Priority(priority))),
        "payload": storable_json(work.to_json()),
        "budget": str(work.kind.retry.attempts),
    }
    if keys := work.keys():
        row |= {"keys": array(keys), "is_ordered": str(work.kind.is_ordered)}
    return row


def _check_times(run_at: datetime | None, expires_at: datetime | None) -> None:
    for name, moment in (("run_at", run_at), ("expires_at", expires_at)):
        if moment is not None and moment.utcoffset() is None:
            raise ValueError(f"{name} needs a time zone")
    if run_at and expires_at and expires_at <= run_at:
        raise ValueError("expires_at must be later than run_at")
