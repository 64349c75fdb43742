"""Closes a month: charge all, render all, mail all, report.

Each stage is a batch of other subjects' jobs. When all of them have ended, its callback begins the
next stage for the invoices that are through, so one customer's trouble stops nobody else. A replay
of a dead job lets its batch settle once more: the callback comes again, and takes who was missing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session, selectinload
from uuid_utils.compat import uuid7

from actors.invoices import mail
from outbox import Job, actor, add_to_batch, batch, seal_batch, submit
from service.charging.drafts import NotAllowed, payment_for
from service.charging.kinds import PAYMENT_CHARGE
from service.charging.models import Payment, PaymentState
from service.closings.kinds import (
    CLOSING_BEGIN,
    CLOSING_GO_ON,
    BeginClosing,
    ClosingGone,
    GoOn,
    Stage,
)
from service.closings.models import Closing, ClosingInvoice
from service.closings.month import end_of, period_of
from service.closings.progress import counts
from service.invoices.kinds import RENDER_INVOICE
from service.invoices.models import Invoice
from service.reports.formats import FORMATS
from service.reports.requests import ask_for


@actor(CLOSING_BEGIN)
def begin(work: BeginClosing, job: Job) -> None:
    """Take all invoices that wait for this month's end, or an earlier one, and charge them.

    Payments, their jobs and both batches are one commit. If the process dies before it, nothing has
    happened. A closing begins once: a second job, of a person who has it resume, does nothing.
    """
    with job.transaction() as tx:
        closing = _closing(tx, work.closing_id)
        if closing.batch_id is not None:
            return
        with batch(tx, subject=closing.subject, seal=False) as whole:
            closing.batch_id = whole.id
        with _stage(tx, closing, Stage.CHARGE):
            waiting = _waiting(tx, closing.month)
            for invoice in waiting:
                _charge(tx, closing, invoice)
        job.result = {"invoices": len(waiting)}


@actor(CLOSING_GO_ON)
def go_on(work: GoOn, job: Job) -> None:
    """Begin the next stage for the invoices that are through with this one, in one commit.

    It may run any number of times: it takes only those that have not gone on.
    """
    with job.transaction() as tx:
        closing = _closing(tx, work.closing_id)
        if closing.batch_id and not closing.completed_at:
            NEXT[work.after](tx, closing)


def _closing(session: Session, closing_id: UUID) -> Closing:
    closing = session.get(Closing, closing_id, with_for_update=True)
    if closing is None:
        raise ClosingGone(f"there is no closing {closing_id}")
    return closing


@contextmanager
def _stage(session: Session, closing: Closing, stage: Stage) -> Iterator[None]:
    """The batch of a stage, whose callback goes on when all of its jobs have ended."""
    follows = CLOSING_GO_ON(closing_id=closing.id, after=stage)
    with (
        add_to_batch(session, closing.whole),
        batch(session, on_settled=follows, subject=closing.subject_of(stage)),
    ):
        yield


def _waiting(session: Session, month: str) -> list[Invoice]:
    is_taken = exists().where(ClosingInvoice.invoice_id == Invoice.id)
    wanted = (
        select(Invoice)
        .where(Invoice.at_month_end, Invoice.created_at < end_of(month), ~is_taken)
        .options(selectinload(Invoice.lines), selectinload(Invoice.payments))
        .order_by(Invoice.id)
    )
    return list(session.scalars(wanted.with_for_update(of=Invoice)))


def _charge(session: Session, closing: Closing, invoice: Invoice) -> None:
    """Charge the invoice if there is something to charge; it is rendered and mailed in any case."""
    taken = ClosingInvoice(invoice_id=invoice.id, closing_id=closing.id, stage=Stage.CHARGE)
    session.add(taken)
    try:
        payment = payment_for(invoice, None)
    except NotAllowed as error:
        taken.not_charged = str(error)
        return
    payment.id = uuid7()
    session.add(payment)
    work = PAYMENT_CHARGE(payment_id=payment.id, invoice_id=invoice.id)
    submit(session, work, subject=invoice.subject)


def _render(session: Session, closing: Closing) -> None:
    """A declined payment is no reason to wait: the customer gets the invoice, and can pay it."""
    is_open = exists().where(
        Payment.invoice_id == ClosingInvoice.invoice_id, Payment.state == PaymentState.OPEN
    )
    with _stage(session, closing, Stage.RENDER):
        for invoice_id in _take(session, closing, Stage.CHARGE, Stage.RENDER, ~is_open):
            work = RENDER_INVOICE(invoice_id=invoice_id, then_mail=False)
            submit(session, work, subject=f"invoice:{invoice_id}")


def _mail(session: Session, closing: Closing) -> None:
    is_rendered = exists().where(Invoice.id == ClosingInvoice.invoice_id, Invoice.pdf.is_not(None))
    with _stage(session, closing, Stage.MAIL):
        ready = _take(session, closing, Stage.RENDER, Stage.MAIL, is_rendered)
        wanted = select(Invoice).where(Invoice.id.in_(ready)).options(selectinload(Invoice.lines))
        for invoice in session.scalars(wanted):
            mail(session, invoice, str(invoice.pdf))


def _report(session: Session, closing: Closing) -> None:
    """The month is complete when nothing is left of any stage: what is dead can be replayed.

    Then its report is asked for, and the batch around all is sealed. Until then another batch is
    going to settle, or a person has to act; this comes again after either.
    """
    left = [each for each in counts(session, closing).values() if each.is_open or each.dead]
    is_behind = select(ClosingInvoice).where(
        ClosingInvoice.closing_id == closing.id, ClosingInvoice.stage != Stage.MAIL
    )
    if left or session.scalar(select(is_behind.exists())):
        return
    closing.completed_at = func.now()
    report, _ = ask_for(session, period_of(closing.month), FORMATS)
    closing.report_id = report.id
    seal_batch(session, closing.whole)


def _take(
    session: Session, closing: Closing, before: Stage, after: Stage, is_ready: ColumnElement[bool]
) -> list[UUID]:
    """Move the invoices that are ready from one stage to the next."""
    moved = (
        update(ClosingInvoice)
        .where(ClosingInvoice.closing_id == closing.id, ClosingInvoice.stage == before, is_ready)
        .values(stage=after)
        .returning(ClosingInvoice.invoice_id)
    )
    return sorted(session.scalars(moved))


NEXT: dict[Stage, Callable[[Session, Closing], None]] = {
    Stage.CHARGE: _render,
    Stage.RENDER: _mail,
    Stage.MAIL: _report,
}
"""What follows each stage."""

ACTORS = (begin, go_on)
