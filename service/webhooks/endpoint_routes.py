"""Handlers for webhook endpoints: addresses that receive events."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body
from sqlalchemy import delete, select

from outbox import submit
from outbox.http.auth.record import WhyInBody, WhyInQuery, record_look
from outbox.http.auth.scopes import Admin, Operator, Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.http.routes.jobs.schemas import JobSummary
from outbox.operations import acts
from outbox.operations.api_keys import Caller
from service.hooks.signatures import new_secret
from service.webhooks.examples import NEW_ENDPOINTS
from service.webhooks.kinds import TEST_ENDPOINT
from service.webhooks.models import WebhookEndpoint
from service.webhooks.schemas import (
    EndpointChanges,
    EndpointMade,
    EndpointPage,
    EndpointRotation,
    EndpointShown,
    NewEndpoint,
    Rotated,
)

router = APIRouter(
    prefix="/v1/webhook-endpoints",
    tags=["Webhook endpoints"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)

ONE_DAY = EndpointRotation()


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
    endpoint = new.draft(new_secret())
    tx.add(endpoint)
    await tx.flush()
    await _record(tx, "create", endpoint.id, by, why)
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


@router.get(
    "/{endpoint_id}",
    summary="Get a webhook endpoint",
    responses=success_doc(200, "Endpoint") | problem_docs(types.NOT_FOUND),
)
async def get_webhook_endpoint(
    endpoint_id: UUID, tx: Tx, by: Reader, why: WhyInQuery = None
) -> EndpointShown:
    """A webhook endpoint, without its secret."""
    endpoint = await get_endpoint(tx, endpoint_id)
    await record_look(tx, by, [f"endpoint:{endpoint_id}"], why)
    return EndpointShown.of(endpoint, by)


@router.patch(
    "/{endpoint_id}",
    summary="Change a webhook endpoint",
    responses=success_doc(200, "Endpoint") | problem_docs(types.NOT_FOUND, *POST_REQUEST),
)
async def edit_webhook_endpoint(
    endpoint_id: UUID, new: EndpointChanges, tx: Tx, by: Admin
) -> EndpointShown:
    """Change its address, events, order, description or owner.

    Deliveries that are underway go to the new address with their next attempt.
    """
    endpoint = await get_endpoint(tx, endpoint_id, is_changed=True)
    new.apply(endpoint)
    await _record(tx, "edit", endpoint_id, by, new.why)
    await record_look(tx, by, [f"endpoint:{endpoint_id}"], new.why)
    return EndpointShown.of(endpoint, by)


@router.post(
    "/{endpoint_id}/test",
    status_code=202,
    summary="Send a test event",
    responses=success_doc(202, "TestSubmitted") | problem_docs(types.NOT_FOUND, *POST_REQUEST),
)
async def test_webhook_endpoint(
    endpoint_id: UUID, tx: Tx, by: Operator, why: WhyInBody
) -> JobSummary:
    """Send it a `webhook.test`, once, also when it is switched off.

    The job's result says what the endpoint has answered: `GET /v1/jobs/{id}?wait=30`.
    """
    await get_endpoint(tx, endpoint_id)
    work = TEST_ENDPOINT(endpoint_id=endpoint_id)
    job = submit(tx, work, subject=f"endpoint:{endpoint_id}", by=str(by))
    await _record(tx, "test", endpoint_id, by, why)
    return JobSummary.brief(job)


@router.post(
    "/{endpoint_id}/secret/rotate",
    summary="Rotate a webhook endpoint's secret",
    responses=success_doc(200, "Rotated") | problem_docs(types.NOT_FOUND, *POST_REQUEST),
)
async def rotate_webhook_secret(
    endpoint_id: UUID, tx: Tx, by: Admin, rotation: EndpointRotation = ONE_DAY
) -> Rotated:
    """Make a new secret, which is shown only here.

    Until the overlap ends, deliveries have a signature by either secret. A rotation within it ends
    the one before. Without an overlap the old secret signs nothing any more: for one that leaked.
    """
    endpoint = await get_endpoint(tx, endpoint_id, is_changed=True)
    until = datetime.now(UTC) + timedelta(hours=rotation.overlap_hours)
    overlaps = rotation.overlap_hours > 0
    endpoint.old_secret = endpoint.secret if overlaps else None
    endpoint.old_secret_until = until if overlaps else None
    endpoint.secret = new_secret()
    await _record(tx, "rotate", endpoint_id, by, rotation.why)
    return Rotated(secret=endpoint.secret, old_secret_until=endpoint.old_secret_until)


@router.post(
    "/{endpoint_id}/enable",
    summary="Enable a webhook endpoint again",
    responses=success_doc(200, "Endpoint") | problem_docs(types.NOT_FOUND, *POST_REQUEST),
)
async def enable_webhook_endpoint(
    endpoint_id: UUID, tx: Tx, by: Admin, why: WhyInBody
) -> EndpointShown:
    """It receives events from now on. What it missed is at `links.missed`.

    To deliver that again, post to `links.redeliver`.
    """
    endpoint = await get_endpoint(tx, endpoint_id, is_changed=True)
    endpoint.disabled_at = endpoint.disabled_because = endpoint.failing_since = None
    await _record(tx, "enable", endpoint_id, by, why)
    await record_look(tx, by, [f"endpoint:{endpoint_id}"], why)
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
        raise _not_found(endpoint_id)
    await _record(tx, "delete", endpoint_id, by, why)


async def get_endpoint(tx: Tx, endpoint_id: UUID, *, is_changed: bool = False) -> WebhookEndpoint:
    """The endpoint, locked if it is to be changed. Raises `Problem` 404 if there is none."""
    endpoint = await tx.get(WebhookEndpoint, endpoint_id, with_for_update=is_changed or None)
    if endpoint is None:
        raise _not_found(endpoint_id)
    return endpoint


def _not_found(endpoint_id: UUID) -> Problem:
    return Problem(types.NOT_FOUND, f"there is no webhook endpoint {endpoint_id}")


async def _record(tx: Tx, act: str, endpoint_id: UUID, by: Caller, why: str | None) -> None:
    about = [f"endpoint:{endpoint_id}"]
    await tx.run_sync(acts.record, f"endpoint-{act}", about, who=str(by), why=why)
