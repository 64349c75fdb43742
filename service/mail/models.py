"""The tables of mail."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from service.base import Base


class Email(Base):
    """What became of one mail. It has the id of its job, which is in its Message-ID, too."""

    __tablename__ = "emails"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    recipient: Mapped[str]
    """The receiver's address, as `addresses.normalised` has it."""
    category: Mapped[str | None]
    state: Mapped[str]
    """`queued`, `sent`, `refused`, `suppressed`, `uncertain` or `bounced`."""
    reply: Mapped[str | None]
    """What the mail server, or the bounce, said of it. It may quote the address."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("emails_state_ix", "state", "id"),
        Index("emails_bounced_ix", "recipient", postgresql_where=text("state = 'bounced'")),
    )


class Suppression(Base):
    """An address that gets no more mail of a category, or of any."""

    __tablename__ = "suppressions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    address: Mapped[str]
    """As `addresses.normalised` has it."""
    category: Mapped[str]
    """`*` is all mail."""
    reason: Mapped[str]
    """`bounce`, `complaint`, `unsubscribe` or `person`."""
    email_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("emails.id", ondelete="SET NULL"), index=True
    )
    """The mail that bounced, or that somebody complained about or unsubscribed from."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (UniqueConstraint("address", "category"),)
