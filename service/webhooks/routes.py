"""Handlers for webhook endpoints: addresses that receive events."""

import secrets
from base64 import b64encode
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body
from sqlalchemy import delete, select, update

from outbox.http.auth.record import WhyInBody, WhyInQuery, record_look
from outbox.http.auth.scopes import Admin, Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.operations import acts
from service.webhooks.answer_examples import ANSWERS as ANSWERS
from service.webhooks.examples import NEW_ENDPOINTS
from service.webhooks.models import WebhookEndpoint
from service.webhooks.schemas import EndpointMade, EndpointPage, EndpointShown, NewEndpoint

router = APIRouter(
    prefix="/v1/webhook-endpoints",
    tags=["Webhook endpoints"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


@router.post(
    "",
    status_code=201,
    summary="Add a webhook endpoint",
    responses=success_doc(201, "EndpointMade") | problem_docs(*POST_REQUEST),
)
async def create_webhook_endpoint(
    new: Annotated[NewEndpoint, Body(openapi_examples=NEW_ENDPOINTS)],
    tx: Tx,
    by: Admin,
    why: WhyInQuery = None,
) -> EndpointMade:
    """Deliveries are signed as in Standard Webhooks, with a secret that is shown only here."""
    secret = "whsec_" + b64encode(secrets.token_bytes(32)).decode()
    endpoint = WebhookEndpoint(url=str(new.url), events=new.events, secret=secret)
    tx.add(endpoint)
    await tx.flush()
    about = [f"endpoint:{endpoint.id}"]
    await tx.run_sync(acts.record, "endpoint-create", about, who=str(by), why=why)
    return EndpointMade.model_validate(endpoint)


@router.get(
    "",
    summary="List webhook endpoints",
    responses=success_doc(200, "EndpointPage") | problem_docs(types.BAD_CURSOR),
)
async def list_webhook_endpoints(
    tx: Tx, by: Reader, limit: Limit = 50, cursor: Cursor = None, why: WhyInQuery = None
) -> EndpointPage:
    """Webhook endpoints, newest first, without their secrets."""
    query = select(WebhookEndpoint).order_by(WebhookEndpoint.id.desc()).limit(limit + 1)
    if before := cursors.read(cursor, "webhook-endpoints", UUID):
        query = query.where(WebhookEndpoint.id < before)
    found = (await tx.scalars(query)).all()
    rows, next_cursor = cursors.page(found, "webhook-endpoints", limit)
    await record_look(tx, by, (f"endpoint:{endpoint.id}" for endpoint in rows), why)
    shown = [EndpointShown.of(endpoint, by) for endpoint in rows]
    return EndpointPage(webhook_endpoints=shown, next_cursor=next_cursor)


@router.post(
    "/{endpoint_id}/enable",
    summary="Enable a webhook endpoint again",
    responses=success_doc(200, "Endpoint") | problem_docs(types.NOT_FOUND, *POST_REQUEST),
)
async def enable_webhook_endpoint(
    endpoint_id: UUID, tx: Tx, by: Admin, why: WhyInBody
) -> EndpointShown:
    """It receives new events from now on. Deliveries that it missed are at `links.missed`."""
    enabled = (
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id)
        .values(disabled_at=None)
        .returning(WebhookEndpoint)
    )
    endpoint = await tx.scalar(enabled)
    if endpoint is None:
        raise Problem(types.NOT_FOUND, f"there is no webhook endpoint {endpoint_id}")
    about = [f"endpoint:{endpoint_id}"]
    await tx.run_sync(acts.record, "endpoint-enable", about, who=str(by), why=why)
    await record_look(tx, by, about, why)
    return EndpointShown.of(endpoint, by)


@router.delete(
    "/{endpoint_id}",
    status_code=204,
    summary="Delete a webhook endpoint",
    responses=problem_docs(types.NOT_FOUND),
)
async def delete_webhook_endpoint(
    endpoint_id: UUID, tx: Tx, by: Admin, why: WhyInQuery = None
) -> None:
    """No more events are delivered to it. Deliveries that still wait become dead letters."""
    gone = delete(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id)
    if await tx.scalar(gone.returning(WebhookEndpoint.id)) is None:
        raise Problem(types.NOT_FOUND, f"there is no webhook endpoint {endpoint_id}")
    about = [f"endpoint:{endpoint_id}"]
    await tx.run_sync(acts.record, "endpoint-delete", about, who=str(by), why=why)
