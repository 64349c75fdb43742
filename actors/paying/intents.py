"""Payment intents: each is made unconfirmed, and moves money when it is confirmed, once."""

from dataclasses import dataclass

import stripe

from actors.paying.client import asked, client, posted
from service.charging.models import Payment, PaymentState

TO_CONFIRM = "requires_confirmation"


@dataclass(frozen=True, slots=True)
class End:
    """How a payment ended, and why."""

    state: PaymentState
    why: str | None = None


def create(payment: Payment) -> stripe.PaymentIntent:
    """An intent that moves no money yet. Any that nobody knows of does no harm.

    Raises stripe.InvalidRequestError or CardError if Stripe will not charge this.
    """
    params: stripe.params.PaymentIntentCreateParams = {
        "amount": payment.amount,
        "currency": payment.currency.lower(),
        "payment_method": payment.payment_method,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "metadata": {"payment_id": str(payment.id), "invoice_id": str(payment.invoice_id)},
    }
    intents = client().v1.payment_intents
    return posted(
        f"payment-{payment.id}",
        lambda key: intents.create(params, {"idempotency_key": key}),
        look=lambda: None,
    )


def retrieve(intent_id: str) -> stripe.PaymentIntent:
    """The intent as it is now."""
    return asked(lambda: client().v1.payment_intents.retrieve(intent_id))


def confirm(payment: Payment, intent_id: str) -> stripe.PaymentIntent:
    """The intent after it was confirmed, now or before: an intent moves money once.

    A declined card is no error. The customer is not there to authenticate: `off_session`.
    """
    intents = client().v1.payment_intents
    try:
        return posted(
            f"payment-{payment.id}-confirm",
            lambda key: intents.confirm(intent_id, {"off_session": True}, {"idempotency_key": key}),
            look=lambda: _confirmed(intent_id),
        )
    except (stripe.CardError, stripe.InvalidRequestError):
        # Declined, or cancelled meanwhile: the intent says which.
        if (intent := _confirmed(intent_id)) is None:
            raise
        return intent


def cancel(intent_id: str) -> stripe.PaymentIntent:
    """The intent, cancelled unless it has gone too far for that."""
    intents = client().v1.payment_intents
    try:
        return asked(lambda: intents.cancel(intent_id))
    except stripe.InvalidRequestError:
        return retrieve(intent_id)


def end(intent: stripe.PaymentIntent) -> End | None:
    """How the payment of this intent ended; None while it has not."""
    if intent.status == "succeeded":
        return End(PaymentState.SUCCEEDED)
    if intent.status == "canceled":
        return End(PaymentState.CANCELLED, intent.cancellation_reason)
    if intent.status == "requires_payment_method":
        return End(PaymentState.DECLINED, _why(intent.last_payment_error))
    return None


def _confirmed(intent_id: str) -> stripe.PaymentIntent | None:
    intent = retrieve(intent_id)
    return None if intent.status == TO_CONFIRM else intent


def _why(error: stripe.PaymentIntent.LastPaymentError | None) -> str:
    if error is None:
        return "there is no payment method"
    # Stripe leaves out what does not apply.
    code, decline_code, message = (
        getattr(error, name, None) for name in ("code", "decline_code", "message")
    )
    return ": ".join(each for each in (decline_code or code, message) if each)
