"""What was submitted and published in a session's transaction, before its commit."""

from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from outbox.amqp import outgoing
from outbox.kinds import Priority
from outbox.submission.pending import is_job, is_message, waiting
from outbox.submission.rows import Row


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


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message to another service that the commit of its session will write."""

    id: UUID
    exchange: str
    routing_key: str
    type: str
    content_type: str
    headers: dict[str, Any]
    """Those that were given, those of CloudEvents, and the trace's."""
    body: bytes

    @property
    def content(self) -> Any:
        """The body, read as JSON. Raises ValueError if it is none."""
        return from_json(self.body)


def published(session: Session | AsyncSession) -> list[WaitingMessage]:
    """The messages that wait for this session's commit, in the order of their publication.

    Those of a savepoint that was rolled back are not among them. Sends nothing to Postgres.
    """
    own = session.sync_session if isinstance(session, AsyncSession) else session
    return [_message(row) for row in waiting(own) if is_message(row)]


def _message(row: Row) -> WaitingMessage:
    properties = outgoing.decode(b64decode(row["properties"] or ""))
    return WaitingMessage(
        id=UUID(row["id"]),
        exchange=str(row["exchange"]),
        routing_key=str(row["routing_key"]),
        type=str(row["type"]),
        content_type=properties["content_type"],
        headers=properties["headers"],
        body=b64decode(row["body"] or ""),
    )


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
