"""Invoices with payments and their jobs, as the API's handlers write them."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, selectinload

from outbox import SubmittedJob, Work, submit
from service.charging.drafts import payment_for, refund_of
from service.charging.kinds import PAYMENT_CANCEL, PAYMENT_CHARGE, PAYMENT_REFUND, PAYMENT_SETTLED
from service.charging.models import Payment, Refund
from service.invoices.models import Invoice, InvoiceLine

PRICE = Decimal("19.90")
AMOUNT = 1990


class Charges:
    """Charges invoices of 19.90 euros each."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def invoice(self) -> UUID:
        """A new invoice."""
        line = InvoiceLine(position=1, description="Tea", quantity=1, unit_price=PRICE)
        invoice = Invoice(
            customer="Ada", email="ada@example.com", currency="EUR", lines=[line], payments=[]
        )
        with self._session() as session, session.begin():
            session.add(invoice)
        return invoice.id

    def charge(self, card: str = "pm_card_visa", invoice_id: UUID | None = None) -> Payment:
        """A new payment with its job."""
        with self._session() as session, session.begin():
            invoice = session.get_one(Invoice, invoice_id or self.invoice())
            payment = payment_for(invoice, card)
            session.add(payment)
            session.flush()
            submit(session, self.charging(payment))
        return payment

    def refund(self, payment: Payment, amount: Decimal | None = None) -> Refund:
        """A new refund of the payment with its job."""
        with self._session() as session, session.begin():
            refund = refund_of(session.get_one(Payment, payment.id), amount)
            session.flush()
            submit(session, self.refunding(refund, payment))
        return refund

    def submit(self, work: Work[Any]) -> SubmittedJob:
        """One more job, as a person who repeats it or an event of the provider submits it."""
        with self._session() as session, session.begin():
            return submit(session, work)

    def charging(self, payment: Payment) -> Work[Any]:
        """The work that charges the payment."""
        return PAYMENT_CHARGE(payment_id=payment.id, invoice_id=payment.invoice_id)

    def refunding(self, refund: Refund, payment: Payment) -> Work[Any]:
        """The work that makes the refund."""
        return PAYMENT_REFUND(refund_id=refund.id, invoice_id=payment.invoice_id)

    def cancelling(self, payment: Payment) -> Work[Any]:
        """The work that cancels the payment."""
        return PAYMENT_CANCEL(payment_id=payment.id, invoice_id=payment.invoice_id)

    def settling(self, payment: Payment) -> Work[Any]:
        """The work that an event of the provider about the payment leads to."""
        return PAYMENT_SETTLED(intent_id=self.payment(payment).intent_id or "")

    def payment(self, payment: Payment) -> Payment:
        """The payment as it is now, with its refunds."""
        with self._session() as session:
            loaded = selectinload(Payment.refunds)
            return session.get_one(Payment, payment.id, options=[loaded])

    def outcome(self, payment: Payment) -> tuple[str, str | None]:
        """Its state, and why."""
        now = self.payment(payment)
        return now.state, now.why

    def states(self, invoice_id: UUID) -> list[str]:
        """The states of an invoice's payments."""
        with self._session() as session:
            of_invoice = select(Payment.state).where(Payment.invoice_id == invoice_id)
            return list(session.scalars(of_invoice))

    def refunds(self, payment: Payment) -> list[tuple[str, int]]:
        """The state and amount of each of its refunds."""
        return [(each.state, each.amount) for each in self.payment(payment).refunds]

    def _session(self) -> Session:
        return Session(self._engine, expire_on_commit=False)
