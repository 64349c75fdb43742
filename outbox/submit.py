"""Submitting jobs inside the caller's transaction: the first station of the line."""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack, overload
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from outbox import depth, nul
from outbox.kinds import Priority, Work
from outbox.sessions import keep, write
from outbox.submission import Row

SUBMITTED = "duly.submitted"
"""Set in `Session.info` once the transaction holds an event that the relay should hear of."""
PARENT = "duly.parent"
"""In `Session.info` of an actor's transaction: the running job, parent of what it submits."""


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """A job as submitted; it exists once the caller's transaction has committed."""

    id: UUID
    kind: str
    queue: str
    run_at: datetime | None
    """Until when it was asked to be held back; None for not at all."""


class Options(TypedDict, total=False):
    """What may be said of a job beside its work; see `submit`."""

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

    `run_at` (with a time zone) holds the job back, for any time; `subject` says what it is about,
    such as `invoice:<id>`, for finding it again; `by` says who asked. In an actor's transaction
    the job's parent, and its subject unless given, are those of the running job. Raises ValueError
    for a `run_at` without time zone, a `priority` that is none, a payload nested deeper than
    `depth.DEEPEST`, and for what is no text to Postgres (a NUL, half of a surrogate pair).

    Nothing is sent anywhere: if the transaction rolls back, or the process dies before its commit,
    there is no job; once it has committed, the job runs. An AsyncSession's answer is awaited.
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
    """The same for many jobs, of any kinds, still in one round trip; answers are in their order."""
    if isinstance(session, AsyncSession):
        return _submit_async(session, works, options)
    return _submit(session, works, **options)


async def _submit_one(session: AsyncSession, work: Work[Any], options: Options) -> SubmittedJob:
    (job,) = await _submit_async(session, [work], options)
    return job


async def _submit_async(
    session: AsyncSession, works: Iterable[Work[Any]], options: Options
) -> list[SubmittedJob]:
    """Without I/O it needs no greenlet to wait in, which would cost as much as all the rest."""
    jobs, rows = _jobs(session.sync_session, works, **options)
    if rows:
        if not keep(session.sync_session, rows):
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
    """What the caller gets, and what is written."""
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
    """Raises ValueError for what is no text to Postgres: it would be cut off, or fail a commit."""
    if text is not None and b"\0" in text.encode():
        raise ValueError("subject and by may not contain NUL")
    return text


def _storable_json(payload: str) -> str:
    """The same of a payload, which Postgres would show in its error."""
    if nul.is_in_json(payload):
        raise ValueError("a payload may not contain NUL")
    depth.check(payload)
    return payload
