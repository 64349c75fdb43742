"""Handlers for month ends: begin one, see how far it is, have it go on."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Response
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

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
from service.closings.answer_examples import ANSWERS as ANSWERS
from service.closings.examples import NEW_CLOSINGS
from service.closings.kinds import CLOSING_BEGIN, CLOSING_GO_ON, Stage
from service.closings.models import Closing, ClosingInvoice
from service.closings.progress import counts
from service.closings.schemas import (
    ClosingAccepted,
    ClosingPage,
    ClosingShown,
    ClosingSummary,
    NewClosing,
    NotCharged,
    closing_path,
)

MOST_NOT_CHARGED = 100
"""Of these invoices so many are shown."""

router = APIRouter(
    prefix="/v1/closings",
    tags=["Month ends"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


@router.post(
    "",
    status_code=202,
    summary="Close a month",
    responses=success_doc(202, "ClosingAccepted", "Location")
    | problem_docs(types.CONFLICT, *POST_REQUEST),
)
async def close_month(
    new: Annotated[NewClosing, Body(openapi_examples=NEW_CLOSINGS)],
    tx: Tx,
    by: Submitter,
    response: Response,
) -> ClosingAccepted:
    """Charge, render and mail all invoices that wait for this month's end, then report.

    A month is closed once: 409 if it was already.
    """
    made = insert(Closing).values(month=new.month).on_conflict_do_nothing().returning(Closing)
    closing = await tx.scalar(made)
    if closing is None:
        raise Problem(types.CONFLICT, f"{new.month} is closed already: GET /v1/closings lists it")
    work = CLOSING_BEGIN(closing_id=closing.id)
    job = submit(tx, work, subject=closing.subject, by=str(by))
    response.headers["Location"] = closing_path(closing.id)
    return ClosingAccepted.with_job(closing, job)


@router.get(
    "",
    summary="List month ends",
    responses=success_doc(200, "ClosingPage") | problem_docs(types.BAD_CURSOR),
)
async def list_closings(tx: Tx, _: Reader, limit: Limit = 50, cursor: Cursor = None) -> ClosingPage:
    """Month ends, newest first."""
    query = select(Closing).order_by(Closing.id.desc()).limit(limit + 1)
    if before := cursors.read(cursor, "closings", UUID):
        query = query.where(Closing.id < before)
    rows, next_cursor = cursors.page((await tx.scalars(query)).all(), "closings", limit)
    found = [ClosingSummary.model_validate(row) for row in rows]
    return ClosingPage(closings=found, next_cursor=next_cursor)


@router.get(
    "/{closing_id}",
    summary="See how far a month end is",
    responses=success_doc(200, "Closing") | problem_docs(types.NOT_FOUND),
)
async def get_closing(closing_id: UUID, tx: Tx, _: Reader) -> ClosingShown:
    """A month end, with the jobs of each stage. Its counts are a moment late."""
    closing = await _get(tx, closing_id)
    of_closing = select(func.count()).where(ClosingInvoice.closing_id == closing_id)
    invoices = await tx.scalar(of_closing) or 0
    stages = await tx.run_sync(counts, closing)
    is_going_on = await _has_own_jobs(tx, closing)
    if not is_going_on:  # or one has ended meanwhile, whose batch is seen now
        stages = await tx.run_sync(counts, closing)
    not_charged = await _not_charged(tx, closing_id)
    return ClosingShown.of(closing, invoices, stages, not_charged, is_going_on=is_going_on)


@router.post(
    "/{closing_id}/resume",
    status_code=202,
    summary="Have a month end go on",
    responses=success_doc(202, "ClosingAccepted")
    | problem_docs(types.NOT_FOUND, types.CONFLICT, *POST_REQUEST),
)
async def resume_closing(closing_id: UUID, tx: Tx, by: Submitter) -> ClosingAccepted:
    """Go on with invoices that are ready for their next stage.

    A replay of a dead job does so by itself. This is for what a person has settled otherwise: a
    payment that was cancelled, a dead letter that was discarded. If the job that begins was
    cancelled, it begins.
    """
    closing = await _get(tx, closing_id)
    if closing.completed_at is not None:
        raise Problem(types.CONFLICT, "the month is complete")
    subject, who = closing.subject, str(by)
    if closing.batch_id is None:
        job = submit(tx, CLOSING_BEGIN(closing_id=closing_id), subject=subject, by=who)
    else:
        work = CLOSING_GO_ON(closing_id=closing_id, after=Stage.CHARGE)
        job = submit(tx, work, subject=subject, by=who)
    return ClosingAccepted.with_job(closing, job)


async def _get(tx: Tx, closing_id: UUID) -> Closing:
    closing = await tx.get(Closing, closing_id)
    if closing is None:
        raise Problem(types.NOT_FOUND, f"there is no closing {closing_id}")
    return closing


async def _not_charged(tx: Tx, closing_id: UUID) -> list[NotCharged]:
    wanted = (
        select(ClosingInvoice)
        .where(ClosingInvoice.closing_id == closing_id, ClosingInvoice.not_charged.is_not(None))
        .order_by(ClosingInvoice.invoice_id)
        .limit(MOST_NOT_CHARGED)
    )
    rows = await tx.scalars(wanted)
    return [NotCharged(invoice_id=row.invoice_id, why=str(row.not_charged)) for row in rows]


async def _has_own_jobs(tx: Tx, closing: Closing) -> bool:
    """Whether a job is open that begins a stage: its own, or a callback, which has the batch's."""
    for subject in (closing.subject, *map(closing.subject_of, Stage)):
        if await tx.run_sync(jobs.find_open, JobFilter(subject=subject), 1):
            return True
    return False
