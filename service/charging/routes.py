"""Handlers for payments: the row of a charge or refund and its job, in one transaction."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Response
from sqlalchemy import Select, select
from sqlalchemy.orm import selectinload

from outbox import submit
from outbox.http.auth.scopes import Reader, Submitter
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from service.charging.answer_examples import ANSWERS as ANSWERS
from service.charging.bodies import ALL_OF_IT, AS_INVOICED, NewCharge, NewRefund
from service.charging.drafts import NotAllowed, payment_for, refund_of, told
from service.charging.examples import NEW_CHARGES, NEW_REFUNDS
from service.charging.kinds import PAYMENT_CANCEL, PAYMENT_CHARGE, PAYMENT_REFUND
from service.charging.models import Payment, PaymentState
from service.charging.schemas import PaymentAccepted, PaymentPage, PaymentShown, payment_path
from service.invoices.models import Invoice

router = APIRouter(
    prefix="/v1",
    tags=["Payments"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)

POSTED = problem_docs(types.NOT_FOUND, types.CONFLICT, *POST_REQUEST)


@router.post(
    "/invoices/{invoice_id}/charge",
    status_code=202,
    summary="Charge an invoice",
    responses=success_doc(202, "PaymentAccepted", "Location") | POSTED,
)
async def charge_invoice(
    invoice_id: UUID,
    tx: Tx,
    by: Submitter,
    response: Response,
    new: Annotated[NewCharge, Body(openapi_examples=NEW_CHARGES)] = AS_INVOICED,
) -> PaymentAccepted:
    """Store a payment of the whole invoice, and the job that charges it.

    An invoice has one payment that is open or has succeeded: 409 if there is one. After one that
    was declined or cancelled it can be charged again.
    """
    invoice = await _locked_invoice(tx, invoice_id)
    try:
        payment = payment_for(invoice, new.payment_method)
    except NotAllowed as error:
        raise Problem(types.CONFLICT, str(error)) from None
    tx.add(payment)
    await tx.flush()
    work = PAYMENT_CHARGE(payment_id=payment.id, invoice_id=invoice.id)
    job = submit(tx, work, subject=invoice.subject, by=str(by))
    response.headers["Location"] = payment_path(payment.id)
    return PaymentAccepted.with_job(payment, job)


@router.get(
    "/payments",
    summary="List payments",
    responses=success_doc(200, "PaymentPage") | problem_docs(types.BAD_CURSOR),
)
async def list_payments(
    tx: Tx,
    _: Reader,
    state: PaymentState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PaymentPage:
    """Payments with their refunds, newest first."""
    query = _payments().order_by(Payment.id.desc()).limit(limit + 1)
    if state is not None:
        query = query.where(Payment.state == state)
    if before := cursors.read(cursor, "payments", UUID):
        query = query.where(Payment.id < before)
    rows, next_cursor = cursors.page((await tx.scalars(query)).all(), "payments", limit)
    return PaymentPage(payments=[PaymentShown.of(row) for row in rows], next_cursor=next_cursor)


@router.get(
    "/payments/{payment_id}",
    summary="Get a payment",
    responses=success_doc(200, "Payment") | problem_docs(types.NOT_FOUND),
)
async def get_payment(payment_id: UUID, tx: Tx, _: Reader) -> PaymentShown:
    """A payment with its refunds. `links.jobs` lists the jobs of its invoice."""
    payment = await tx.scalar(_payments().where(Payment.id == payment_id))
    return PaymentShown.of(_found(payment, payment_id))


@router.post(
    "/payments/{payment_id}/refunds",
    status_code=202,
    summary="Refund a payment",
    responses=success_doc(202, "PaymentAccepted", "Location") | POSTED,
)
async def refund_payment(
    payment_id: UUID,
    tx: Tx,
    by: Submitter,
    response: Response,
    new: Annotated[NewRefund, Body(openapi_examples=NEW_REFUNDS)] = ALL_OF_IT,
) -> PaymentAccepted:
    """Store a refund, and the job that makes it. 409 for more than is left of the payment."""
    payment = await _locked_payment(tx, payment_id)
    try:
        refund = refund_of(payment, new.amount)
    except NotAllowed as error:
        raise Problem(types.CONFLICT, str(error)) from None
    await tx.flush()
    work = PAYMENT_REFUND(refund_id=refund.id, invoice_id=payment.invoice_id)
    job = submit(tx, work, subject=f"invoice:{payment.invoice_id}", by=str(by))
    response.headers["Location"] = payment_path(payment.id)
    return PaymentAccepted.with_job(payment, job)


@router.post(
    "/payments/{payment_id}/cancel",
    status_code=202,
    summary="Cancel a payment",
    responses=success_doc(202, "PaymentAccepted") | POSTED,
)
async def cancel_payment(payment_id: UUID, tx: Tx, by: Submitter) -> PaymentAccepted:
    """Submit the job that cancels an open payment, unless money has moved before it runs."""
    payment = await _locked_payment(tx, payment_id)
    if not payment.is_open:
        raise Problem(types.CONFLICT, f"the payment {told(payment)}")
    work = PAYMENT_CANCEL(payment_id=payment.id, invoice_id=payment.invoice_id)
    job = submit(tx, work, subject=f"invoice:{payment.invoice_id}", by=str(by))
    return PaymentAccepted.with_job(payment, job)


def _payments() -> Select[Payment]:
    return select(Payment).options(selectinload(Payment.refunds))


async def _locked_payment(tx: Tx, payment_id: UUID) -> Payment:
    query = _payments().where(Payment.id == payment_id).with_for_update()
    return _found(await tx.scalar(query), payment_id)


async def _locked_invoice(tx: Tx, invoice_id: UUID) -> Invoice:
    query = (
        select(Invoice)
        .options(selectinload(Invoice.lines), selectinload(Invoice.payments))
        .where(Invoice.id == invoice_id)
        .with_for_update()
    )
    invoice = await tx.scalar(query)
    if invoice is None:
        raise Problem(types.NOT_FOUND, f"there is no invoice {invoice_id}")
    return invoice


def _found(payment: Payment | None, payment_id: UUID) -> Payment:
    if payment is None:
        raise Problem(types.NOT_FOUND, f"there is no payment {payment_id}")
    return payment
