"""Delivers events to webhook endpoints, signed as in Standard Webhooks.

See standardwebhooks.com. The receiver recognises a repeated delivery by its `webhook-id`.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update

from actors.delivering import record
from actors.delivering.attempt import attempt, skipped
from actors.delivering.message import message
from outbox import Actor, Job, actor
from service.job_times import first_id
from service.settings import settings
from service.webhooks.kinds import (
    DELIVER_IN_ORDER,
    DELIVER_WEBHOOK,
    PRUNE_DELIVERIES,
    TEST_ENDPOINT,
    TEST_EVENT,
    DeliverWebhook,
    EndpointGone,
    PruneDeliveries,
    TestEndpoint,
)
from service.webhooks.models import WebhookDelivery, WebhookEndpoint

PRUNED_AT_ONCE = 1000


@actor(DELIVER_WEBHOOK)
async def deliver(work: DeliverWebhook, job: Job) -> None:
    """POST the event; the result is the endpoint's 2xx status.

    Each attempt sends the same body and the same id. Raises AddressRefused, EndpointGone and
    EndpointMoved, which are final; DeliveryFailed, NoAnswer and OSError, which are retried; and
    RateLimited. No redirect is followed. Each attempt is on record, a failed one by a transaction
    of its own. If the process dies after the endpoint answered and before that commits, the event
    is delivered again, and the first call is not on record; if it dies after it, it is.
    """
    endpoint = await _endpoint(job, work.endpoint_id)
    sent = message(work.event, work.data, work.event_id, job.id)
    made = skipped(endpoint, job) if endpoint.disabled_at else await attempt(endpoint, sent, job)
    if made.error is None:
        async with job.transaction() as tx:
            job.result = {"status": made.status}
            await record.delivered(tx, endpoint, sent, made, job)
        return
    async with job.sessions() as session, session.begin():
        await record.failed(session, endpoint, sent, made, job)
    raise made.error


@actor(TEST_ENDPOINT)
async def test(work: TestEndpoint, job: Job) -> None:
    """POST a test event; the result says what the endpoint answered, or why it did not.

    It succeeds whatever that is, and is not tried again: somebody wants to know. An endpoint that
    is switched off is called, too. If the process dies, it is called again.
    """
    endpoint = await _endpoint(job, work.endpoint_id)
    sent = message(TEST_EVENT, {"endpoint_id": str(endpoint.id)}, None, job.id)
    made = await attempt(endpoint, sent, job)
    async with job.transaction() as tx:
        error = str(made.error) if made.error else None
        job.result = {"delivered": error is None, "status": made.status, "error": error}
        await record.tested(tx, endpoint, sent, made, job)


@actor(PRUNE_DELIVERIES)
async def prune(_: PruneDeliveries, job: Job) -> dict[str, int]:
    """Delete deliveries older than `keep_deliveries`, in short transactions, and old secrets.

    If the process dies, the next attempt deletes what is left.
    """
    kept, pruned = settings().keep_deliveries, 0
    if kept is not None:
        oldest = first_id(datetime.now(UTC) - kept)
        while deleted := await _delete_before(job, oldest):
            pruned += deleted
            job.progress(pruned)
    await _forget_old_secrets(job)
    return {"pruned": pruned}


async def _endpoint(job: Job, endpoint_id: UUID) -> WebhookEndpoint:
    async with job.sessions() as session:
        endpoint = await session.get(WebhookEndpoint, endpoint_id)
    if endpoint is None:
        raise EndpointGone(f"the endpoint {endpoint_id} was deleted")
    return endpoint


async def _delete_before(job: Job, oldest: UUID) -> int:
    some = select(WebhookDelivery.id).where(WebhookDelivery.id < oldest)
    some = some.order_by(WebhookDelivery.id).limit(PRUNED_AT_ONCE)
    gone = delete(WebhookDelivery).where(WebhookDelivery.id.in_(some))
    async with job.sessions() as session, session.begin():
        deleted: Any = await session.execute(gone)
        return int(deleted.rowcount)


async def _forget_old_secrets(job: Job) -> None:
    is_over = WebhookEndpoint.old_secret_until < func.now()
    forgotten = update(WebhookEndpoint).where(is_over)
    async with job.sessions() as session, session.begin():
        await session.execute(forgotten.values(old_secret=None, old_secret_until=None))


ACTORS = (deliver, Actor(DELIVER_IN_ORDER, deliver.function), test, prune)
