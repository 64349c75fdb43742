"""Renders an invoice, then submits its mail and its webhooks."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from outbox import Job, actor, submit
from service.documents import documents
from service.invoices.kinds import RENDER_INVOICE, InvoiceGone, RenderInvoice
from service.invoices.models import Invoice
from service.mail.kinds import SEND_EMAIL
from service.webhooks.kinds import DELIVER_WEBHOOK
from service.webhooks.models import WebhookEndpoint

RENDERED = "invoice.rendered"
"""The event for endpoints that subscribed to it, or to `*` for all events."""


@actor(RENDER_INVOICE)
def render(work: RenderInvoice, job: Job) -> None:
    """Store the invoice's PDF. Submit its mail and webhooks in the commit that completes the job.

    If the process dies before the commit, the next attempt stores the same bytes by the same name.
    """
    with job.sessions() as session:
        invoice = _invoice(session, work.invoice_id)
    from actors.drawing.invoice import draw  # when it is needed: it takes 38 MB

    name, pdf = f"invoices/{invoice.id}.pdf", draw(invoice)
    documents().put(name, pdf)
    with job.transaction() as session:
        job.result = {"pdf": name, "bytes": len(pdf)}
        _invoice(session, work.invoice_id).pdf = name
        _submit_mail(session, invoice, name)
        _submit_webhooks(session, invoice, name)


def _invoice(session: Session, invoice_id: UUID) -> Invoice:
    invoice = session.get(Invoice, invoice_id, options=[selectinload(Invoice.lines)])
    if invoice is None:
        raise InvoiceGone(f"there is no invoice {invoice_id}")
    return invoice


def _submit_mail(session: Session, invoice: Invoice, pdf: str) -> None:
    mail = SEND_EMAIL(
        to=invoice.email,
        subject=f"Invoice {invoice.id}",
        text=f"Dear {invoice.customer},\n\n"
        f"your invoice over {invoice.total:,.2f} {invoice.currency} is attached.\n",
        attachments=(pdf,),
    )
    submit(session, mail)


def _submit_webhooks(session: Session, invoice: Invoice, pdf: str) -> None:
    data = {
        "invoice_id": str(invoice.id),
        "total": f"{invoice.total:.2f}",
        "currency": invoice.currency,
        "pdf": pdf,
    }
    # Also for disabled endpoints: what they miss becomes dead letters, which can be replayed.
    subscribed = select(WebhookEndpoint.id).where(
        WebhookEndpoint.events.bool_op("&&")([RENDERED, "*"])
    )
    for endpoint_id in session.scalars(subscribed):
        submit(session, DELIVER_WEBHOOK(endpoint_id=endpoint_id, event=RENDERED, data=data))


ACTORS = (render,)
