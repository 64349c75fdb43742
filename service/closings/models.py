"""The tables of month ends."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from service.base import Base
from service.closings.kinds import Stage


class Closing(Base):
    """The end of one month."""

    __tablename__ = "closings"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    month: Mapped[str] = mapped_column(unique=True)
    """Such as `2026-11`, in UTC."""
    batch_id: Mapped[UUID | None]
    """The batch around all of its batches; None until the first job has run."""
    report_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    completed_at: Mapped[datetime | None]
    """When all was done for every invoice."""

    @property
    def whole(self) -> UUID:
        """The batch around all. Raises ValueError until the first job has run."""
        if self.batch_id is None:
            raise ValueError(f"the closing of {self.month} has not begun")
        return self.batch_id

    @property
    def subject(self) -> str:
        """The subject of the jobs and of the batch around all."""
        return f"closing:{self.month}"

    def subject_of(self, stage: Stage) -> str:
        """The subject of the batches of a stage: one, and one more each time it went on."""
        return f"{self.subject}:{stage}"


class ClosingInvoice(Base):
    """An invoice in a closing: it is in one at most."""

    __tablename__ = "closing_invoices"

    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoices.id"), primary_key=True)
    closing_id: Mapped[UUID] = mapped_column(ForeignKey("closings.id"), index=True)
    stage: Mapped[str]
    """The stage whose job was submitted last, a `Stage`."""
    not_charged: Mapped[str | None]
    """Why there was nothing to charge; None if there was."""
