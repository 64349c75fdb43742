"""Submitting jobs inside the caller's transaction: the first station of the line."""

import json
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack, overload
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from outbox import steps
from outbox.kinds import Priority, Work

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
    run_at: datetime
    created_at: datetime


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

    `run_at` (with a time zone) holds the job back, for any time; `subject` says what it is about,
    such as `invoice:<id>`, for finding it again; `by` says who asked. In an actor's transaction
    the job's parent, and its subject unless given, are those of the running job. Raises ValueError
    for a `run_at` without time zone and a `priority` that is none.

    Nothing is sent anywhere: if the transaction rolls back, or the process dies before its commit,
    there is no job; once it has committed, the job runs. An AsyncSession's answer is awaited.
    """
    if isinstance(session, AsyncSession):
        return session.run_sync(lambda inner: _submit(inner, [work], **options)[0])
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
        return session.run_sync(lambda inner: _submit(inner, works, **options))
    return _submit(session, works, **options)


def _submit(
    session: Session,
    works: Iterable[Work[Any]],
    *,
    run_at: datetime | None = None,
    priority: Priority | None = None,
    subject: str | None = None,
    by: str | None = None,
) -> list[SubmittedJob]:
    if run_at is not None and run_at.tzinfo is None:
        raise ValueError("run_at needs a time zone")
    parent = session.info.get(PARENT)
    subject = subject or (parent.subject if parent else None)
    rows = [_row(work, run_at, priority, subject) for work in works]
    return _insert(session, rows, parent_id=parent.id if parent else None, submitted_by=by)


def _row(
    work: Work[Any], run_at: datetime | None, priority: Priority | None, subject: str | None
) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "kind": work.kind.name,
        "queue": work.kind.queue,
        "priority": Priority(work.kind.priority if priority is None else priority),
        "payload": work.payload.model_dump_json(),
        "run_at": run_at.isoformat() if run_at else None,
        "budget": work.kind.retry.attempts,
        "subject": subject,
    }


def _insert(
    session: Session, rows: Sequence[dict[str, Any]], **common: object
) -> list[SubmittedJob]:
    if not rows:
        return []
    inserted = session.connection().exec_driver_sql(
        steps.SUBMIT, common | {"jobs": json.dumps(rows)}
    )
    session.info[SUBMITTED] = True
    submitted = {str(row.id): SubmittedJob(*row) for row in inserted}
    return [submitted[row["id"]] for row in rows]
