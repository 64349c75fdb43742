"""Handlers for deliveries to webhook endpoints: looking at them, and delivering again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from outbox.http.auth.record import WhyInBody, WhyInQuery, record_look
from outbox.http.auth.scopes import Operator, Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.http.routes.jobs.schemas import JobSummary
from service.webhooks import deliveries
from service.webhooks.deliveries import AT_ONCE, Delivered, State
from service.webhooks.delivery_schemas import Delivery, DeliveryPage, FailedSince, Redelivered
from service.webhooks.endpoint_routes import get_endpoint
from service.webhooks.models import WebhookEndpoint

router = APIRouter(
    prefix="/v1",
    tags=["Webhook deliveries"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


@router.get(
    "/webhook-endpoints/{endpoint_id}/deliveries",
    summary="List deliveries to a webhook endpoint",
    responses=success_doc(200, "DeliveryPage") | problem_docs(types.NOT_FOUND, types.BAD_CURSOR),
)
async def list_deliveries(
    endpoint_id: UUID,
    tx: Tx,
    by: Reader,
    state: Annotated[State | None, Query(description="Only deliveries in this state.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    why: WhyInQuery = None,
) -> DeliveryPage:
    """What was sent to the endpoint and what it answered, newest first.

    An event that waits for its first attempt is a job, and no delivery yet.
    """
    await get_endpoint(tx, endpoint_id)
    before = cursors.read(cursor, "deliveries", UUID)
    found = await tx.run_sync(deliveries.find, endpoint_id, state, limit=limit + 1, before=before)
    rows, next_cursor = cursors.page(found, "deliveries", limit)
    await record_look(tx, by, (f"delivery:{each.id}" for each in rows), why)
    shown = [Delivery.of(each, by) for each in rows]
    return DeliveryPage(deliveries=shown, next_cursor=next_cursor)


@router.get(
    "/webhook-deliveries/{delivery_id}",
    summary="Get a delivery",
    responses=success_doc(200, "Delivery") | problem_docs(types.NOT_FOUND),
)
async def get_delivery(delivery_id: UUID, tx: Tx, by: Reader, why: WhyInQuery = None) -> Delivery:
    """A delivery with its attempts. Its id is that of its job."""
    found = await _get(tx, delivery_id)
    await record_look(tx, by, [f"delivery:{delivery_id}"], why)
    return Delivery.of(found, by)


@router.post(
    "/webhook-deliveries/{delivery_id}/redeliver",
    status_code=202,
    summary="Deliver an event again",
    responses=success_doc(202, "RedeliverySubmitted")
    | problem_docs(types.NOT_FOUND, types.CONFLICT, *POST_REQUEST),
)
async def redeliver_event(delivery_id: UUID, tx: Tx, by: Operator, why: WhyInBody) -> JobSummary:
    """Submit a new job that sends the same event with the same `webhook-id`.

    So a receiver that has it already can tell. One that is still tried is not delivered again.
    """
    found = await _get(tx, delivery_id)
    if found.state == "pending":
        raise Problem(types.CONFLICT, f"the delivery is still tried, by the job {delivery_id}")
    endpoint = await _enabled(tx, found.row.endpoint_id)
    (job,) = await tx.run_sync(deliveries.redeliver, endpoint, [found], by=str(by), why=why)
    return JobSummary.brief(job)


@router.post(
    "/webhook-endpoints/{endpoint_id}/redeliver",
    status_code=202,
    summary="Deliver again what has failed",
    responses=success_doc(202, "Redelivered")
    | problem_docs(types.NOT_FOUND, types.CONFLICT, *POST_REQUEST),
)
async def redeliver_failed(
    endpoint_id: UUID, chosen: FailedSince, tx: Tx, by: Operator
) -> Redelivered:
    """Deliver again the failed deliveries of events since a time, up to 200, the oldest first.

    Repeat the request while there are `more`, each time with another Idempotency-Key, if any. What
    was delivered again before is left out. The dead letters of the earlier jobs are closed.
    """
    endpoint = await _enabled(tx, endpoint_id)
    found = await tx.run_sync(deliveries.find_failed, endpoint_id, chosen.since)
    if not found:
        return Redelivered(job_ids=[], more=False)
    jobs = await tx.run_sync(
        deliveries.redeliver, endpoint, found[:AT_ONCE], by=str(by), why=chosen.why
    )
    return Redelivered(job_ids=[job.id for job in jobs], more=len(found) > AT_ONCE)


async def _get(tx: Tx, delivery_id: UUID) -> Delivered:
    found = await tx.run_sync(deliveries.get, delivery_id)
    if found is None:
        raise Problem(types.NOT_FOUND, f"there is no delivery {delivery_id}")
    return found


async def _enabled(tx: Tx, endpoint_id: UUID) -> WebhookEndpoint:
    endpoint = await get_endpoint(tx, endpoint_id)
    if endpoint.disabled_at is not None:
        raise Problem(types.CONFLICT, "the webhook endpoint is switched off: enable it first")
    return endpoint
