"""The tables of invoices."""

from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Numeric, false, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship
from uuid_utils.compat import uuid7

from service.base import Base
from service.charging.models import Payment, PaymentState


class Invoice(Base):
    """An invoice to a customer, with its lines."""

    __tablename__ = "invoices"
    __table_args__ = (
        Index("invoices_at_month_end_ix", "created_at", postgresql_where=text("at_month_end")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    customer: Mapped[str]
    email: Mapped[str]
    currency: Mapped[str]
    pdf: Mapped[str | None]
    """The PDF's name in the document store; None until it is rendered."""
    payment_method: Mapped[str | None]
    """The provider's token for the customer's card, such as `pm_card_visa`."""
    at_month_end: Mapped[bool] = mapped_column(server_default=false())
    """Whether it waits for the closing of its month: until then it has no jobs."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    lines: Mapped[list["InvoiceLine"]] = relationship(
        order_by="InvoiceLine.position", cascade="all, delete-orphan"
    )
    payments: Mapped[list[Payment]] = relationship(order_by=Payment.id)

    @property
    def total(self) -> Decimal:
        """The sum of the lines, in the invoice's currency."""
        return sum((line.amount for line in self.lines), Decimal(0))

    @property
    def paid(self) -> Payment | None:
        """The payment that succeeded; there is one at most."""
        succeeded = (each for each in self.payments if each.state == PaymentState.SUCCEEDED)
        return next(succeeded, None)

    @property
    def state(self) -> Literal["unpaid", "paid", "refunded"]:
        """Whether it was paid; `refunded` once all of it was given back."""
        if self.paid is None:
            return "unpaid"
        return "refunded" if self.paid.refunded == self.paid.amount else "paid"

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
