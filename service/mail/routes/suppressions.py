"""Handlers for the suppression list: which addresses get no more mail."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query
from sqlalchemy import delete, select

from outbox.http.auth.record import WhyInQuery, record_look
from outbox.http.auth.scopes import Operator, Reader, require_scope
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.operations import acts
from outbox.operations.api_keys import Scope
from service.mail import suppressions
from service.mail.addresses import MailAddress, normalised
from service.mail.examples import NEW_SUPPRESSIONS
from service.mail.models import Suppression
from service.mail.routes.schemas import NewSuppression, SuppressionPage, SuppressionShown

router = APIRouter(
    prefix="/v1/suppressions",
    tags=["Mail"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


@router.get(
    "",
    summary="List suppressed addresses",
    responses=success_doc(200, "SuppressionPage") | problem_docs(types.BAD_CURSOR),
)
async def list_suppressions(
    tx: Tx,
    by: Reader,
    address: Annotated[
        MailAddress | None, Query(description="Only this one. Needs the scope `payloads`.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    why: WhyInQuery = None,
) -> SuppressionPage:
    """Suppressed addresses, newest first."""
    query = select(Suppression).order_by(Suppression.id.desc()).limit(limit + 1)
    if address is not None:
        require_scope(by, Scope.PAYLOADS)
        query = query.where(Suppression.address == normalised(address))
    if before := cursors.read(cursor, "suppressions", UUID):
        query = query.where(Suppression.id < before)
    rows, next_cursor = cursors.page((await tx.scalars(query)).all(), "suppressions", limit)
    await record_look(tx, by, (f"suppression:{row.id}" for row in rows), why)
    shown = [SuppressionShown.of(row, by) for row in rows]
    return SuppressionPage(suppressions=shown, next_cursor=next_cursor)


@router.post(
    "",
    status_code=201,
    summary="Suppress an address",
    responses=success_doc(201, "Suppression") | problem_docs(*POST_REQUEST),
)
async def create_suppression(
    new: Annotated[NewSuppression, Body(openapi_examples=NEW_SUPPRESSIONS)],
    tx: Tx,
    by: Operator,
    why: WhyInQuery = None,
) -> SuppressionShown:
    """The address gets no more mail. One that is suppressed already stays as it is."""
    address = normalised(new.address)
    made = await tx.run_sync(suppressions.add, address, new.category, "person")
    about = [f"suppression:{made.id}"]
    await tx.run_sync(acts.record, "suppression-create", about, who=str(by), why=why)
    await record_look(tx, by, about, why)
    return SuppressionShown.of(made, by)


@router.delete(
    "/{suppression_id}",
    status_code=204,
    summary="Let an address get mail again",
    responses=problem_docs(types.NOT_FOUND),
)
async def delete_suppression(
    suppression_id: UUID, tx: Tx, by: Operator, why: WhyInQuery = None
) -> None:
    """Mails that were suppressed meanwhile stay so."""
    gone = delete(Suppression).where(Suppression.id == suppression_id)
    if await tx.scalar(gone.returning(Suppression.id)) is None:
        raise Problem(types.NOT_FOUND, f"there is no suppression {suppression_id}")
    about = [f"suppression:{suppression_id}"]
    await tx.run_sync(acts.record, "suppression-delete", about, who=str(by), why=why)
