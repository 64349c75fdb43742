"""The table of reports."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from service.base import Base
from service.reports.period import Period


class Report(Base):
    """A report that was asked for. Its id is that of the job that builds it."""

    __tablename__ = "reports"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    first_day: Mapped[date]
    last_day: Mapped[date]
    zone: Mapped[str]
    formats: Mapped[list[str]] = mapped_column(ARRAY(Text))
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    built_at: Mapped[datetime | None]
    """When all of its files were stored; None until then."""
    expires_at: Mapped[datetime | None]
    """When its files expire; None before it is built, and if they are kept for ever."""
    totals: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    """What was invoiced in each currency, with amounts as texts."""
    files: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(JSONB)
    """The id and the size of each file, by format."""

    @property
    def period(self) -> Period:
        """The days that it is about."""
        return Period(self.first_day, self.last_day, self.zone)
