"""The service's own tables. The tables of jobs are in outbox/store/schema.py."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, MetaData, Numeric, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from uuid_utils.compat import uuid7


class Base(DeclarativeBase):
    """The base of all tables of the service. Times have a time zone."""

    metadata = MetaData(
        schema="public",  # whatever the operator's search path
        naming_convention={
            "ix": "%(table_name)s_%(column_0_name)s_ix",
            "uq": "%(table_name)s_%(column_0_name)s_key",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        },
    )
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text}  # noqa: RUF012


class Invoice(Base):
    """An invoice to a customer, with its lines."""

    __tablename__ = "invoices"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    customer: Mapped[str]
    email: Mapped[str]
    currency: Mapped[str]
    pdf: Mapped[str | None]
    """The PDF's name in the document store; None until it is rendered."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    lines: Mapped[list["InvoiceLine"]] = relationship(
        order_by="InvoiceLine.position", cascade="all, delete-orphan"
    )

    @property
    def total(self) -> Decimal:
        """The sum of the lines, in the invoice's currency."""
        return sum((line.amount for line in self.lines), Decimal(0))

    @property
    def subject(self) -> str:
        """The subject of the invoice's jobs."""
        return f"invoice:{self.id}"


class InvoiceLine(Base):
    """One line of an invoice."""

    __tablename__ = "invoice_lines"

    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoices.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    description: Mapped[str]
    quantity: Mapped[int]
    unit_price: Mapped[Decimal] = mapped_column(Numeric(12, 2))

    @property
    def amount(self) -> Decimal:
        """Quantity times price."""
        return self.quantity * self.unit_price


class WebhookEndpoint(Base):
    """An address that receives events. `secret` signs what is sent to it."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    secret: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    disabled_at: Mapped[datetime | None]
    """When the endpoint answered 410 Gone and was disabled; None while it is enabled."""
