"""Renders an invoice, then submits its mail and its webhooks."""

from datetime import UTC
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session, selectinload

from outbox import Job, actor, submit
from service.documents.store import documents
from service.invoices.kinds import RENDER_INVOICE, InvoiceGone, RenderInvoice
from service.invoices.models import Invoice
from service.mail.kinds import SEND_EMAIL
from service.mail.templates.rendering import render as render_mail
from service.webhooks.announcing import announce

RENDERED = "invoice.rendered"
"""The event for endpoints that subscribed to it, or to `*` for all events."""


@actor(RENDER_INVOICE)
def render(work: RenderInvoice, job: Job) -> None:
    """Store the invoice's PDF. Submit its mail and webhooks in the commit that completes the job.

    If the process dies before the commit, the next attempt stores the same bytes by the same name.
    """
    with job.sessions() as session:
        invoice = _invoice(session, work.invoice_id)
    from actors.drawing.invoice import draw  # when it is needed: see docs/decisions/0064

    name, pdf = f"invoices/{invoice.id}.pdf", draw(invoice)
    documents().put(name, pdf)
    with job.transaction() as session:
        job.result = {"pdf": name, "bytes": len(pdf)}
        _invoice(session, work.invoice_id).pdf = name
        if work.then_mail:
            mail(session, invoice, name)
        _tell(session, invoice, name)


def _invoice(session: Session, invoice_id: UUID) -> Invoice:
    invoice = session.get(Invoice, invoice_id, options=[selectinload(Invoice.lines)])
    if invoice is None:
        raise InvoiceGone(f"there is no invoice {invoice_id}")
    return invoice


def mail(session: Session, invoice: Invoice, pdf: str) -> None:
    """Submit the invoice's mail."""
    letter = render_mail("invoice", _shown(invoice))
    work = SEND_EMAIL(
        to=invoice.email,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        attachments=(pdf,),
        category="invoices",
    )
    submit(session, work, subject=invoice.subject)


def _shown(invoice: Invoice) -> dict[str, Any]:
    """What the mail's template shows."""
    return {
        "customer": invoice.customer,
        "number": str(invoice.id),
        "date": invoice.created_at.astimezone(UTC).date().isoformat(),
        "currency": invoice.currency,
        "total": f"{invoice.total:,.2f}",
        "lines": [
            {
                "description": line.description,
                "quantity": f"{line.quantity:,}",
                "amount": f"{line.amount:,.2f}",
            }
            for line in invoice.lines
        ],
    }


def _tell(session: Session, invoice: Invoice, pdf: str) -> None:
    data = {
        "invoice_id": str(invoice.id),
        "total": f"{invoice.total:.2f}",
        "currency": invoice.currency,
        "pdf": pdf,
    }
    announce(session, RENDERED, data, subject=invoice.subject)


ACTORS = (render,)
