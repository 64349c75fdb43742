"""Handlers for invoices: the business rows and their jobs, in one transaction."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Request, Response
from fastapi.concurrency import run_in_threadpool
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
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter
from service.charging.models import Payment
from service.invoices.answer_examples import ANSWERS as ANSWERS
from service.invoices.examples import NEW_INVOICES
from service.invoices.kinds import RENDER_INVOICE
from service.invoices.models import Invoice
from service.invoices.schemas import (
    InvoicePage,
    InvoiceShown,
    InvoiceSummary,
    NewInvoice,
    invoice_path,
)

router = APIRouter(
    prefix="/v1/invoices",
    tags=["Invoices"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


@router.post(
    "",
    status_code=201,
    summary="Create an invoice",
    response_description="The invoice is stored, and so is its job, if it has one now",
    responses=success_doc(201, "Invoice", "Location") | problem_docs(*POST_REQUEST),
)
async def create_invoice(
    new: Annotated[NewInvoice, Body(openapi_examples=NEW_INVOICES)],
    tx: Tx,
    by: Submitter,
    response: Response,
) -> InvoiceShown:
    """Store an invoice. A job renders its PDF, mails it and notifies webhooks.

    With `at_month_end` there is no job until its month is closed.
    """
    invoice = new.draft()
    tx.add(invoice)
    await tx.flush()
    its_jobs = []
    if not invoice.at_month_end:
        work = RENDER_INVOICE(invoice_id=invoice.id)
        its_jobs = [submit(tx, work, subject=invoice.subject, by=str(by))]
    response.headers["Location"] = invoice_path(invoice.id)
    return InvoiceShown.of(invoice, its_jobs)


@router.get(
    "",
    summary="List invoices",
    responses=success_doc(200, "InvoicePage") | problem_docs(types.BAD_CURSOR),
)
async def list_invoices(tx: Tx, _: Reader, limit: Limit = 50, cursor: Cursor = None) -> InvoicePage:
    """Invoices, newest first."""
    query = _invoices().order_by(Invoice.id.desc()).limit(limit + 1)
    if before := cursors.read(cursor, "invoices", UUID):
        query = query.where(Invoice.id < before)
    rows, next_cursor = cursors.page((await tx.scalars(query)).all(), "invoices", limit)
    found = [InvoiceSummary.model_validate(invoice) for invoice in rows]
    return InvoicePage(invoices=found, next_cursor=next_cursor)


@router.get(
    "/{invoice_id}",
    summary="Get an invoice",
    responses=success_doc(200, "Invoice") | problem_docs(types.NOT_FOUND),
)
async def get_invoice(invoice_id: UUID, tx: Tx, _: Reader) -> InvoiceShown:
    """An invoice with its payments, and its jobs, newest first."""
    invoice = await _get(tx, invoice_id)
    its_jobs = await tx.run_sync(jobs.find, JobFilter(subject=invoice.subject))
    return InvoiceShown.of(invoice, its_jobs)


@router.get(
    "/{invoice_id}/pdf",
    summary="Get an invoice's PDF",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}},
        **problem_docs(types.NOT_FOUND, types.NOT_READY),
    },
)
async def get_invoice_pdf(invoice_id: UUID, tx: Tx, _: Reader, request: Request) -> Response:
    """The PDF. Until its job has rendered it, 404 with Retry-After."""
    name = (await _get(tx, invoice_id)).pdf
    if name is None:
        detail = "the PDF has not been rendered yet"
        raise Problem(types.NOT_READY, detail, headers={"Retry-After": "1"})
    await tx.close()  # return the connection first: the store may be slow
    content = await run_in_threadpool(request.app.state.documents.get, name)
    return Response(content, media_type="application/pdf")


async def _get(tx: Tx, invoice_id: UUID) -> Invoice:
    invoice = await tx.scalar(_invoices().where(Invoice.id == invoice_id))
    if invoice is None:
        raise Problem(types.NOT_FOUND, f"there is no invoice {invoice_id}")
    return invoice


def _invoices() -> Select[Invoice]:
    refunds = selectinload(Invoice.payments).selectinload(Payment.refunds)
    return select(Invoice).options(selectinload(Invoice.lines), refunds)
