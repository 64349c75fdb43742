"""What becomes of a charge to each test token: Stripe's own, and a few for states of its own.

See docs.stripe.com/testing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """How a card behaves: the intent's status once it is confirmed, and that of its refunds."""

    status: str = "succeeded"
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None
    refund: str = "succeeded"


def declined(decline_code: str, message: str, code: str = "card_declined") -> Card:
    """A card that the bank declines."""
    return Card("requires_payment_method", code, decline_code, message)


CARDS = {
    "pm_card_visa": Card(),
    "pm_card_mastercard": Card(),
    "pm_card_visa_chargeDeclined": declined("generic_decline", "Your card was declined."),
    "pm_card_visa_chargeDeclinedInsufficientFunds": declined(
        "insufficient_funds", "Your card has insufficient funds."
    ),
    "pm_card_chargeDeclinedExpiredCard": declined(
        "expired_card", "Your card has expired.", "expired_card"
    ),
    # Off session nobody can authenticate.
    "pm_card_authenticationRequired": declined(
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
        "authentication_required",
    ),
    "pm_card_pendingRefund": Card(refund="pending"),
    "pm_card_refundFail": Card(refund="failed"),
    "pm_usBankAccount": Card("processing"),
    # Not a token of Stripe's: a bank that wants the customer to authenticate all the same.
    "pm_customer_must_act": Card("requires_action"),
}
