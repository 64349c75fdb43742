"""Submits jobs in the caller's transaction: the beginning of a job's life."""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack, overload
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from outbox.kinds import Priority, Work
from outbox.submission.sessions import buffer, write
from outbox.submission.statement import Row
from outbox.values import depth, nul

SUBMITTED = "duly.submitted"
"""Set in `Session.info` once the transaction holds an event to wake the relays up for."""

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


@overload
def submit(session: Session, work: Work[Any], **options: Unpack[Options]) -> SubmittedJob: ...
@overload
def submit(
    session: AsyncSession, work: Work[Any], **options: Unpack[Options]
) -> Awaitable[SubmittedJob]: ...
def submit(
    session: Session | AsyncSession, work: Work[Any], **options: Unpack[Options]
) -> SubmittedJob | Awaitable[SubmittedJob]:
    """Write a job and its outbox event in the session's transaction, in one round trip.

    A session of `job_sessions` writes them with its commit, in no round trip of their own.

    `run_at` (with a time zone) holds the job back, however long. `subject` says what the job is
    about, such as `invoice:<id>`, so that it can be found again. `by` says who asked for it. In an
    actor's transaction the running job becomes the parent, and its subject is the default.

    Raises ValueError for a `run_at` without time zone, an unknown `priority`, a payload nested
    deeper than `depth.DEEPEST`, and text that Postgres cannot store (a NUL, a lone surrogate).

    Nothing is published here. If the transaction rolls back, or the process dies before the commit,
    there is no job. Once it has committed, the job runs. With an AsyncSession, await the result.
    """
    if isinstance(session, AsyncSession):
        return _submit_one(session, work, options)
    return _submit(session, [work], **options)[0]


@overload
def submit_all(
    session: Session, works: Iterable[Work[Any]], **options: Unpack[Options]
) -> list[SubmittedJob]: ...
@overload
def submit_all(
    session: AsyncSession, works: Iterable[Work[Any]], **options: Unpack[Options]
) -> Awaitable[list[SubmittedJob]]: ...
def submit_all(
    session: Session | AsyncSession, works: Iterable[Work[Any]], **options: Unpack[Options]
) -> list[SubmittedJob] | Awaitable[list[SubmittedJob]]:
    """Submit many jobs of any kinds, still in one round trip; the results are in their order."""
    if isinstance(session, AsyncSession):
        return _submit_async(session, works, options)
    return _submit(session, works, **options)


async def _submit_one(session: AsyncSession, work: Work[Any], options: Options) -> SubmittedJob:
    (job,) = await _submit_async(session, [work], options)
    return job


async def _submit_async(
    session: AsyncSession, works: Iterable[Work[Any]], options: Options
) -> list[SubmittedJob]:
    """Buffer the jobs if that needs no I/O: a greenlet would cost as much as all the rest."""
    jobs, rows = _jobs(session.sync_session, works, **options)
    if rows:
        if not buffer(session.sync_session, rows):
            await session.run_sync(write, rows)
        session.info[SUBMITTED] = True
    return jobs


def _submit(
    session: Session, works: Iterable[Work[Any]], **options: Unpack[Options]
) -> list[SubmittedJob]:
    jobs, rows = _jobs(session, works, **options)
    if rows:
        write(session, rows)
        session.info[SUBMITTED] = True
    return jobs


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
        "payload": _storable_json(work.payload.model_dump_json(ensure_ascii=True)),
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
