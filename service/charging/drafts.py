"""New payments and refunds, where the invoice's state allows them."""

from decimal import Decimal

from service.charging.models import Payment, PaymentState, Refund, RefundState
from service.charging.money import in_major_units, in_minor_units
from service.invoices.models import Invoice

LARGEST = 10**12 - 1
"""The provider takes no amount of more than twelve digits."""


class NotAllowed(Exception):
    """The state of the invoice or payment does not allow it; the text says why."""


def payment_for(invoice: Invoice, payment_method: str | None) -> Payment:
    """A payment of the whole invoice. Lock the invoice's row before: one charge at a time.

    The payment method is the invoice's own unless one is given. Raises NotAllowed.
    """
    for each in invoice.payments:
        if each.state in (PaymentState.OPEN, PaymentState.SUCCEEDED):
            raise NotAllowed(f"the payment {each.id} of this invoice {told(each)}")
    method = payment_method or invoice.payment_method
    if method is None:
        raise NotAllowed("the invoice has no payment_method: give one")
    amount = _in_minor_units(invoice.total, invoice.currency)
    if not 0 < amount <= LARGEST:
        raise NotAllowed(f"{invoice.total} {invoice.currency} cannot be charged")
    return Payment(
        invoice_id=invoice.id,
        amount=amount,
        currency=invoice.currency,
        payment_method=method,
        state=PaymentState.OPEN,
        refunds=[],
    )


def refund_of(payment: Payment, amount: Decimal | None) -> Refund:
    """Add a refund to the payment: of so much, or of all that is left. Lock its row before.

    Raises NotAllowed for a payment that has not succeeded, and for more than is left of it.
    """
    if payment.state != PaymentState.SUCCEEDED:
        raise NotAllowed(f"the payment {told(payment)}: there is nothing to refund")
    left = payment.refundable
    units = left if amount is None else _in_minor_units(amount, payment.currency)
    if not 0 < units <= left:
        rest = f"{in_major_units(left, payment.currency)} {payment.currency}"
        raise NotAllowed(f"of this payment {rest} is left to refund")
    payment.refunds.append(refund := Refund(amount=units, state=RefundState.OPEN))
    return refund


def told(payment: Payment) -> str:
    """Its state, as the end of a sentence."""
    if payment.is_open:
        return "is open"
    return f"{'has' if payment.state == PaymentState.SUCCEEDED else 'was'} {payment.state}"


def _in_minor_units(amount: Decimal, currency: str) -> int:
    try:
        return in_minor_units(amount, currency)
    except ValueError as error:
        raise NotAllowed(str(error)) from None
