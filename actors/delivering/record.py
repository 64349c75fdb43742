"""Puts on record how an attempt at a delivery ended, and whether its endpoint is failing."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import case, func, literal_column, update
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from actors.delivering.attempt import GONE, Attempt
from actors.delivering.message import Message
from actors.delivering.switch_off import IS_ENABLED, has_failed_for, switch_off
from outbox import Job
from service.settings import settings
from service.webhooks.models import WebhookDelivery, WebhookEndpoint

MOST_ATTEMPTS = 20
"""Of a delivery, which are kept: an endpoint may have itself left alone many times."""


async def delivered(
    tx: AsyncSession, endpoint: WebhookEndpoint, sent: Message, attempt: Attempt, job: Job
) -> None:
    """Record a delivery that has arrived. An endpoint that was failing is not any more."""
    await tx.execute(_saved(endpoint, sent, attempt, job, delivered_at=func.now()))
    if endpoint.failing_since is not None:
        await tx.execute(_of(endpoint).values(failing_since=None))


async def failed(
    tx: AsyncSession, endpoint: WebhookEndpoint, sent: Message, attempt: Attempt, job: Job
) -> None:
    """Record an attempt that failed. Switch the endpoint off if it is gone, or failing for days.

    An endpoint's row is written only when it begins to fail, not with each failure.
    """
    await tx.execute(_saved(endpoint, sent, attempt, job))
    if endpoint.disabled_at is not None:
        return
    if attempt.status == GONE:
        # Not if it has a new address, which was not asked.
        is_here = WebhookEndpoint.url == endpoint.url
        await switch_off(tx, endpoint.id, "it answered 410 Gone", IS_ENABLED, is_here)
    elif endpoint.failing_since is None:
        begins = WebhookEndpoint.failing_since.is_(None)
        await tx.execute(_of(endpoint).where(begins).values(failing_since=func.now()))
    elif datetime.now(UTC) - endpoint.failing_since > settings().webhooks_give_up_after:
        given = settings().webhooks_give_up_after
        why = f"each delivery failed for {given.total_seconds() / 86_400:g} days"
        await switch_off(tx, endpoint.id, why, IS_ENABLED, has_failed_for(given))


async def tested(
    tx: AsyncSession, endpoint: WebhookEndpoint, sent: Message, attempt: Attempt, job: Job
) -> None:
    """Record a test. It says nothing of how the endpoint does with events."""
    at = None if attempt.error else func.now()
    await tx.execute(_saved(endpoint, sent, attempt, job, delivered_at=at))


def _saved(
    endpoint: WebhookEndpoint,
    sent: Message,
    attempt: Attempt,
    job: Job,
    delivered_at: Any = None,
) -> Insert:
    """The delivery with this attempt after those before it."""
    row = insert(WebhookDelivery).values(
        id=job.id,
        endpoint_id=endpoint.id,
        event=sent.event,
        event_id=sent.id,
        subject=job.subject,
        body=sent.body,
        attempts=[attempt.to_json()],
        delivered_at=delivered_at,
    )
    kept = WebhookDelivery.attempts
    is_full = func.jsonb_array_length(kept) >= MOST_ATTEMPTS
    newest = case((is_full, kept.op("-")(literal_column("0"))), else_=kept)
    return row.on_conflict_do_update(
        index_elements=[WebhookDelivery.id],
        set_={
            "attempts": newest.op("||")(row.excluded.attempts),
            # A worker that was replaced may be the last to write.
            "delivered_at": func.coalesce(WebhookDelivery.delivered_at, row.excluded.delivered_at),
        },
    )


def _of(endpoint: WebhookEndpoint) -> Any:
    return update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id)
