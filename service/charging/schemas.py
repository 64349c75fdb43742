"""Payments and refunds as the API shows them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from outbox import SubmittedJob
from outbox.http.routes.jobs.schemas import JobSummary
from service.charging.models import Payment, PaymentState, Refund, RefundState
from service.charging.money import in_major_units

PaymentMethod = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_]{1,255}$",
        description="The provider's token for a card, such as `pm_card_visa`. It is never shown.",
    ),
]


class RefundShown(BaseModel):
    """A refund. `why` says why it failed."""

    id: UUID
    amount: Decimal
    state: RefundState
    why: str | None
    created_at: datetime
    settled_at: datetime | None

    @classmethod
    def of(cls, refund: Refund, currency: str) -> "RefundShown":
        """The refund, of a payment in that currency."""
        return cls(
            id=refund.id,
            amount=in_major_units(refund.amount, currency),
            state=RefundState(refund.state),
            why=refund.why,
            created_at=refund.created_at,
            settled_at=refund.settled_at,
        )


class PaymentShown(BaseModel):
    """A payment of an invoice. `why` says why it was declined or cancelled.

    While it is `open`, money may have moved or not; `links.cancel` is there until it has ended, and
    `links.refund` while there is something to give back.
    """

    id: UUID
    invoice_id: UUID
    amount: Decimal
    refunded: Decimal
    currency: str
    state: PaymentState
    why: str | None
    intent_id: str | None = Field(description="The provider's payment intent.")
    created_at: datetime
    settled_at: datetime | None
    refunds: list[RefundShown]
    links: dict[str, str]

    @classmethod
    def of(cls, payment: Payment) -> "PaymentShown":
        """The payment with its refunds."""
        return cls.model_validate(_shown(payment))


class PaymentAccepted(PaymentShown):
    """A payment with the job that now works on it."""

    job: JobSummary

    @classmethod
    def with_job(cls, payment: Payment, job: SubmittedJob) -> "PaymentAccepted":
        """The payment and its new job."""
        return cls.model_validate(_shown(payment) | {"job": JobSummary.brief(job)})


class PaymentPage(BaseModel):
    """A page of payments, newest first."""

    payments: list[PaymentShown]
    next_cursor: str | None


def payment_path(payment_id: UUID) -> str:
    """The path of the payment's URL."""
    return f"/v1/payments/{payment_id}"


def _shown(payment: Payment) -> dict[str, object]:
    return {
        "id": payment.id,
        "invoice_id": payment.invoice_id,
        "amount": in_major_units(payment.amount, payment.currency),
        "refunded": in_major_units(payment.refunded, payment.currency),
        "currency": payment.currency,
        "state": payment.state,
        "why": payment.why,
        "intent_id": payment.intent_id,
        "created_at": payment.created_at,
        "settled_at": payment.settled_at,
        "refunds": [RefundShown.of(each, payment.currency) for each in payment.refunds],
        "links": _links(payment),
    }


def _links(payment: Payment) -> dict[str, str]:
    path = payment_path(payment.id)
    links = {
        "self": path,
        "invoice": f"/v1/invoices/{payment.invoice_id}",
        "jobs": f"/v1/jobs?subject=invoice:{payment.invoice_id}",
    }
    if payment.is_open:
        links["cancel"] = f"{path}/cancel"
    if payment.refundable:
        links["refund"] = f"{path}/refunds"
    return links
