"""The jobs of charging: each names rows, and the provider is asked what became of them."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field

from outbox import Key, Kind, Rate, Retry
from service.payload import Payload


class ChargeInvoice(Payload):
    """Charge the payment's amount to its payment method."""

    payment_id: UUID
    invoice_id: UUID


class RefundPayment(Payload):
    """Give the refund's amount back."""

    refund_id: UUID
    invoice_id: UUID


class CancelPayment(Payload):
    """End a payment that is open, unless money has moved meanwhile."""

    payment_id: UUID
    invoice_id: UUID


class SettlePayment(Payload):
    """Ask the provider what became of its intent and of the refunds, and record it."""

    intent_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$", max_length=255)]


class PaymentGone(Exception):
    """The payment or refund does not exist."""


ONE_AT_A_TIME: Key = Key(lambda p: f"invoice:{p.invoice_id}", at_most=1)
"""Nothing else moves an invoice's money meanwhile."""
PROVIDER: Key = Key(lambda _: "stripe", rate=Rate(20, per=timedelta(seconds=1)))
"""A job makes up to four calls: so all of them stay below the 100 a second that Stripe allows."""

_RETRY = Retry(attempts=20, never=(PaymentGone,))

PAYMENT_CHARGE = Kind(
    "payment.charge",
    ChargeInvoice,
    queue="payments",
    time_limit=timedelta(minutes=5),
    retry=_RETRY,
    key=(ONE_AT_A_TIME, PROVIDER),
    owner="billing",
    idempotency="looks its payment intent up before it confirms it; one intent for each payment",
)
PAYMENT_REFUND = Kind(
    "payment.refund",
    RefundPayment,
    queue="payments",
    time_limit=timedelta(minutes=5),
    retry=_RETRY,
    key=(ONE_AT_A_TIME, PROVIDER),
    owner="billing",
    idempotency="looks for its refund before it makes it, with the same Idempotency-Key",
)
PAYMENT_CANCEL = Kind(
    "payment.cancel",
    CancelPayment,
    queue="payments",
    time_limit=timedelta(minutes=5),
    retry=_RETRY,
    key=(ONE_AT_A_TIME, PROVIDER),
    owner="billing",
    idempotency="the provider says what became of the payment intent",
)
PAYMENT_SETTLED = Kind(
    "payment.settled",
    SettlePayment,
    queue="payments",
    time_limit=timedelta(minutes=5),
    retry=_RETRY,
    key=PROVIDER,
    owner="billing",
    idempotency="records what the provider says now, however often and in whatever order",
)
