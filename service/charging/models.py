"""The tables of charging: payments, of which one is open or succeeded per invoice, and refunds."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship
from uuid_utils.compat import uuid7

from service.base import Base


class PaymentState(StrEnum):
    """What became of a payment. An open one may have moved money or not: the provider knows."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    CANCELLED = "cancelled"


class RefundState(StrEnum):
    """What became of a refund."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


def _checks(table: str, states: type[StrEnum]) -> tuple[CheckConstraint, CheckConstraint]:
    known = ", ".join(f"'{state}'" for state in states)
    return (
        CheckConstraint("amount > 0", name=f"{table}_amount_check"),
        CheckConstraint(f"state IN ({known})", name=f"{table}_state_check"),
    )


class Payment(Base):
    """A charge of an invoice. Amounts are in the minor unit that the provider counts in."""

    __tablename__ = "payments"
    __table_args__ = (
        *_checks(__tablename__, PaymentState),
        Index("payments_state_id_ix", "state", "id"),
        Index(
            "payments_one_charge_ix",
            "invoice_id",
            unique=True,
            postgresql_where=text("state IN ('open', 'succeeded')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoices.id"), index=True)
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    payment_method: Mapped[str]
    """The provider's token for a card, such as `pm_card_visa`."""
    state: Mapped[str] = mapped_column(default=PaymentState.OPEN)
    why: Mapped[str | None]
    """Why it was declined or cancelled."""
    intent_id: Mapped[str | None] = mapped_column(unique=True)
    """The provider's payment intent. It is committed here before it is confirmed."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]
    refunds: Mapped[list["Refund"]] = relationship(order_by="Refund.id", back_populates="payment")

    @property
    def is_open(self) -> bool:
        """Whether it is not known yet what becomes of it."""
        return self.state == PaymentState.OPEN

    @property
    def refunded(self) -> int:
        """What was given back."""
        return sum(each.amount for each in self.refunds if each.state == RefundState.SUCCEEDED)

    @property
    def refundable(self) -> int:
        """What may still be given back: what was paid, less all refunds that did not fail."""
        if self.state != PaymentState.SUCCEEDED:
            return 0
        given = (each.amount for each in self.refunds if each.state != RefundState.FAILED)
        return self.amount - sum(given)

    def settle(self, state: PaymentState, why: str | None) -> None:
        """Note how it ended. An end stands, unless money has moved after all."""
        moved_after_all = state == PaymentState.SUCCEEDED != self.state
        if self.is_open or moved_after_all:
            self.state, self.why, self.settled_at = state, why, func.now()

    @property
    def outcome(self) -> dict[str, Any]:
        """The result of its jobs."""
        return {"payment_id": str(self.id), "state": self.state, "why": self.why}


class Refund(Base):
    """Money given back from a payment."""

    __tablename__ = "refunds"
    __table_args__ = _checks(__tablename__, RefundState)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    amount: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(default=RefundState.OPEN)
    why: Mapped[str | None]
    """Why it failed."""
    provider_id: Mapped[str | None] = mapped_column(unique=True)
    """The provider's refund."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]
    payment: Mapped[Payment] = relationship(back_populates="refunds")

    @property
    def is_open(self) -> bool:
        """Whether it is not known yet what becomes of it."""
        return self.state == RefundState.OPEN

    def settle(self, state: RefundState, why: str | None, provider_id: str | None) -> None:
        """Note how it ended at the provider, or that it was refused there (without an id).

        One that succeeded may fail later, when the bank sends the money back.
        """
        came_back = state == RefundState.FAILED != self.state
        if self.provider_id is None or came_back:
            self.state, self.why, self.settled_at = state, why, func.now()
            self.provider_id = provider_id

    @property
    def outcome(self) -> dict[str, Any]:
        """The result of its jobs."""
        return {"refund_id": str(self.id), "state": self.state, "why": self.why}
