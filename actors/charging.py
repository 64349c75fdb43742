"""Charges and refunds payments, and records what the provider says of them.

Money moves once, whatever dies and whenever a person replays: a payment has one intent at the
provider, whose id is committed before it is confirmed, and which is asked before each try.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import stripe
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from actors.paying import intents, refunds
from outbox import Job, Snooze, actor
from service.charging.kinds import (
    PAYMENT_CANCEL,
    PAYMENT_CHARGE,
    PAYMENT_REFUND,
    PAYMENT_SETTLED,
    CancelPayment,
    ChargeInvoice,
    PaymentGone,
    RefundPayment,
    SettlePayment,
)
from service.charging.models import Payment, PaymentState, Refund, RefundState

SOONEST, LATEST = timedelta(seconds=15), timedelta(hours=6)
"""Between two looks at an intent that has not ended. The provider's webhook usually comes first."""
CUSTOMER_HAS = timedelta(days=1)
"""To authenticate the payment; then it is cancelled."""
BANK_HAS = timedelta(days=30)
"""To decide; then a person has to look."""


class NotSettled(Exception):
    """The provider has not said in a month what became of it."""


@actor(PAYMENT_CHARGE)
def charge(work: ChargeInvoice, job: Job) -> dict[str, Any] | None:
    """Charge the payment, and record how that ended. A declined card is an end, and no failure.

    If the process dies before the intent's id is committed, an intent is left that moves no money.
    If it dies later, the next attempt asks the intent what became of it. Raises PaymentGone, which
    is final; RateLimited; and NoAnswer, NoKey, NotSettled and stripe.StripeError: retried.
    """
    payment = _payment(job, work.payment_id)
    if not payment.is_open:
        return payment.outcome
    if payment.intent_id is None:
        try:
            payment.intent_id = _make_intent(job, payment)
        except (stripe.InvalidRequestError, stripe.CardError) as error:
            _settle(job, payment.id, intents.End(PaymentState.DECLINED, error.user_message))
            return None
    # A cancel must not come between the answer and its record.
    with job.shield():
        _record(job, payment, intents.confirm(payment, payment.intent_id))
    return None


@actor(PAYMENT_CANCEL)
def cancel(work: CancelPayment, job: Job) -> dict[str, Any] | None:
    """Cancel the payment, or record how it ended before that. What has gone too far stays open.

    If the process dies, the next attempt finds the intent cancelled. Raises as `charge` does.
    """
    payment = _payment(job, work.payment_id)
    if not payment.is_open:
        return payment.outcome
    if payment.intent_id is None:
        _settle(job, payment.id, intents.End(PaymentState.CANCELLED, "nothing was charged yet"))
        return None
    with job.shield():
        end = intents.end(intents.cancel(payment.intent_id))
        if end is None:
            return payment.outcome
        _settle(job, payment.id, end)
    return None


@actor(PAYMENT_REFUND)
def refund(work: RefundPayment, job: Job) -> dict[str, Any] | None:
    """Give the money back, and record how that ended. One that the provider refuses has failed.

    If the process dies, the next attempt looks for the refund among the payment's. Raises as
    `charge` does.
    """
    with job.sessions() as session:
        row = _refund(session, work.refund_id)
        intent_id = row.payment.intent_id
    if not row.is_open or intent_id is None:
        return row.outcome
    with job.shield():
        try:
            made = refunds.refund(row, intent_id)
        except refunds.Refused as refused:
            _settle_refund(job, row.id, RefundState.FAILED, str(refused), None)
        else:
            _record_refund(job, row, made)
    return None


@actor(PAYMENT_SETTLED)
def settle(work: SettlePayment, job: Job) -> None:
    """Record what the provider says of the intent and its refunds: events only say when to ask.

    So events that are doubled, late or out of order do no harm, and neither does a process that
    dies. An intent that no payment has is left alone. Raises as `charge` does.
    """
    intent = intents.retrieve(work.intent_id)
    made = refunds.by_row(work.intent_id)
    with job.transaction() as session:
        of_intent = select(Payment).where(Payment.intent_id == work.intent_id).with_for_update()
        payment = session.scalar(of_intent)
        if payment is None:
            job.result = {"payment_id": None}
            return
        if end := intents.end(intent):
            payment.settle(end.state, end.why)
        of_payment = select(Refund).where(Refund.payment_id == payment.id).order_by(Refund.id)
        for row in session.scalars(of_payment.with_for_update()):
            if (found := made.get(str(row.id))) and (ended := refunds.refund_end(found)):
                row.settle(ended.state, ended.why, found.id)
        job.result = payment.outcome


def _payment(job: Job, payment_id: UUID) -> Payment:
    with job.sessions() as session:
        payment = session.get(Payment, payment_id)
    if payment is None:
        raise PaymentGone(f"there is no payment {payment_id}")
    return payment


def _refund(session: Session, refund_id: UUID) -> Refund:
    refund = session.get(Refund, refund_id)
    if refund is None:
        raise PaymentGone(f"there is no refund {refund_id}")
    return refund


def _make_intent(job: Job, payment: Payment) -> str:
    """The id of a new intent, committed: only then may it be confirmed."""
    intent = intents.create(payment)
    with job.step({"intent_id": intent.id}) as session:
        session.get_one(Payment, payment.id, with_for_update=True).intent_id = intent.id
    return intent.id


def _record(job: Job, payment: Payment, intent: stripe.PaymentIntent) -> None:
    end = intents.end(intent)
    if end is None:
        age = _age(job, payment.created_at)
        if intent.status == "requires_action" and age > CUSTOMER_HAS:
            end = intents.end(intents.cancel(intent.id))
        if end is None:
            raise _later(age, f"the payment intent is {intent.status}")
    _settle(job, payment.id, end)


def _record_refund(job: Job, row: Refund, made: stripe.Refund) -> None:
    end = refunds.refund_end(made)
    if end is None:
        raise _later(_age(job, row.created_at), f"the refund is {made.status}")
    _settle_refund(job, row.id, end.state, end.why, made.id)


def _settle(job: Job, payment_id: UUID, end: intents.End) -> None:
    with job.transaction() as session:
        payment = session.get_one(Payment, payment_id, with_for_update=True)
        payment.settle(end.state, end.why)
        job.result = payment.outcome


def _settle_refund(
    job: Job, refund_id: UUID, state: RefundState, why: str | None, provider_id: str | None
) -> None:
    with job.transaction() as session:
        row = session.get_one(Refund, refund_id, with_for_update=True)
        row.settle(state, why, provider_id)
        job.result = row.outcome


def _age(job: Job, created_at: datetime) -> timedelta:
    """By Postgres's clock, as `created_at` is."""
    with job.sessions() as session:
        return session.scalars(select(func.now())).one() - created_at


def _later(age: timedelta, reason: str) -> Exception:
    """What to raise for something of this age that has not ended."""
    if age > BANK_HAS:
        return NotSettled(f"{reason} after {age.days} days")
    return Snooze(min(max(age / 4, SOONEST), LATEST), reason)


ACTORS = (charge, cancel, refund, settle)
