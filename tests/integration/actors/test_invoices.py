from collections.abc import Callable
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.orm import Session

from actors import ACTORS
from outbox import Superseded
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter
from service.documents.store import documents
from service.invoices.kinds import RENDER_INVOICE, InvoiceGone, RenderInvoice
from service.invoices.models import Invoice, InvoiceLine
from service.webhooks.models import WebhookEndpoint
from tests.integration.actors.conftest import Claim
from tests.support.pdf import text

Write = Callable[..., UUID]

render = ACTORS["invoice.render"].function


@pytest.fixture
def invoice_id(session: Session) -> UUID:
    lines = [
        InvoiceLine(position=1, description="Tea", quantity=2, unit_price=Decimal("3.50")),
        InvoiceLine(position=2, description="Cup", quantity=1, unit_price=Decimal("12.00")),
    ]
    invoice = Invoice(customer="Ada", email="ada@example.com", currency="EUR", lines=lines)
    session.add(invoice)
    session.commit()
    return invoice.id


def test_the_pdf_is_stored_and_named_in_the_invoice(
    claim: Claim, session: Session, invoice_id: UUID
) -> None:
    job = claim(RENDER_INVOICE(invoice_id=invoice_id))
    render(RenderInvoice(invoice_id=invoice_id), job)
    pdf = documents().get(f"invoices/{invoice_id}.pdf")
    assert "19.00" in text(pdf)
    assert session.get_one(Invoice, invoice_id).pdf == f"invoices/{invoice_id}.pdf"
    record = jobs.get(session, job.id)
    assert record is not None
    assert record.state == "succeeded"
    assert record.result == {"pdf": f"invoices/{invoice_id}.pdf", "bytes": len(pdf)}


def test_the_mail_follows_with_the_pdf_attached(
    claim: Claim, session: Session, invoice_id: UUID
) -> None:
    job = claim(RENDER_INVOICE(invoice_id=invoice_id))
    render(RenderInvoice(invoice_id=invoice_id), job)
    [mail] = jobs.find(session, JobFilter(kind="email.send"))
    assert mail.payload["to"] == "ada@example.com"
    assert mail.payload["attachments"] == [f"invoices/{invoice_id}.pdf"]
    assert "19.00 EUR" in mail.payload["text"]
    assert "19.00 EUR" in mail.payload["html"]
    assert (mail.state, mail.parent_id) == ("queued", job.id)


def test_each_endpoint_that_listens_is_told_also_when_it_is_switched_off(
    claim: Claim, session: Session, invoice_id: UUID, sql_now: psycopg.Connection
) -> None:
    named = _endpoint(session, "invoice.rendered", "invoice.paid")
    all_of_it = _endpoint(session, "*")
    _endpoint(session, "invoice.paid")
    off = _endpoint(session, "*")
    sql_now.execute("UPDATE webhook_endpoints SET disabled_at = now() WHERE id = %s", [off])
    render(RenderInvoice(invoice_id=invoice_id), claim(RENDER_INVOICE(invoice_id=invoice_id)))
    told = jobs.find(session, JobFilter(kind="webhook.deliver"))
    assert {job.payload["endpoint_id"] for job in told} == {str(named), str(all_of_it), str(off)}
    assert told[0].payload["event"] == "invoice.rendered"
    assert told[0].payload["data"] == {
        "invoice_id": str(invoice_id),
        "total": "19.00",
        "currency": "EUR",
        "pdf": f"invoices/{invoice_id}.pdf",
    }


def test_an_invoice_that_is_not_there_is_gone_for_good(claim: Claim) -> None:
    missing = uuid4()
    with pytest.raises(InvoiceGone) as gone:
        render(RenderInvoice(invoice_id=missing), claim(RENDER_INVOICE(invoice_id=missing)))
    assert not RENDER_INVOICE.retry.allows(gone.value)


def test_a_worker_that_was_replaced_leaves_no_mark_in_postgres(
    claim: Claim, session: Session, invoice_id: UUID, sql_now: psycopg.Connection
) -> None:
    job = claim(RENDER_INVOICE(invoice_id=invoice_id))
    sql_now.execute("UPDATE duly.jobs SET dispatch = 2 WHERE id = %s", [job.id])
    with pytest.raises(Superseded):
        render(RenderInvoice(invoice_id=invoice_id), job)
    assert session.get_one(Invoice, invoice_id).pdf is None
    assert jobs.find(session, JobFilter(kind="email.send")) == []


def _endpoint(session: Session, *events: str) -> UUID:
    endpoint = WebhookEndpoint(
        url="https://hooks.example/", events=list(events), secret="whsec_eA=="
    )
    session.add(endpoint)
    session.commit()
    return endpoint.id
