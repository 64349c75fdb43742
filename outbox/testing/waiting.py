"""What was submitted in a session's transaction, before its commit."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from outbox.kinds import Priority
from outbox.submission.pending import is_job, waiting
from outbox.submission.unique_rows import Row


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that the commit of its session will write."""

    id: UUID
    kind: str
    queue: str
    payload: dict[str, Any]
    """As JSON has it: a UUID is a text, for example."""
    priority: Priority
    run_at: datetime | None
    expires_at: datetime | None
    subject: str | None
    by: str | None
    parent_id: UUID | None


def submitted(session: Session | AsyncSession) -> list[WaitingJob]:
    """The jobs that wait for this session's commit, in the order of their submission.

    Those of a savepoint that was rolled back are not among them. Sends nothing to Postgres.
    """
    own = session.sync_session if isinstance(session, AsyncSession) else session
    return [_job(row) for row in waiting(own) if is_job(row)]


def _job(row: Row) -> WaitingJob:
    parent = row.get("parent_id")
    return WaitingJob(
        id=UUID(row["id"]),
        kind=str(row["kind"]),
        queue=str(row["queue"]),
        payload=from_json(row["payload"] or ""),
        priority=Priority(int(row["priority"] or 0)),
        run_at=_moment(row.get("run_at")),
        expires_at=_moment(row.get("expires_at")),
        subject=row.get("subject"),
        by=row.get("submitted_by"),
        parent_id=UUID(parent) if parent else None,
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
