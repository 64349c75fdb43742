"""The tables of webhooks in: who may send events, and the events that came."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from service.base import Base


class HookSource(Base):
    """Somebody who sends events as in Standard Webhooks, signed with `secret`."""

    __tablename__ = "hook_sources"

    name: Mapped[str] = mapped_column(primary_key=True)
    secret: Mapped[str]
    previous_secret: Mapped[str | None]
    """The secret before the last rotation, which is good until `previous_until`."""
    previous_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class HookEvent(Base):
    """An event as it came. It is there once for each id that its source gave."""

    __tablename__ = "hook_events"
    __table_args__ = (
        UniqueConstraint("source", "event_id"),
        Index("hook_events_unknown_ix", "id", postgresql_where=text("job_id IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    source: Mapped[str]
    event_id: Mapped[str]
    type: Mapped[str | None]
    """None if the event names none that can be stored."""
    created_at: Mapped[datetime | None]
    """When it happened, as the source says; None if it does not say."""
    received_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    payload: Mapped[bytes]
    """The body of the request, byte for byte."""
    job_id: Mapped[UUID | None]
    """The job that the event became; None while no release knew one."""
    why: Mapped[str | None]
    """Why it became no job."""

    @property
    def state(self) -> str:
        """`taken` once it became a job, else `unknown`."""
        return "unknown" if self.job_id is None else "taken"
