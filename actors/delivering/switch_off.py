"""Switches a webhook endpoint off, and tells its owner by mail."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, update
from sqlalchemy.ext.asyncio import AsyncSession

from outbox import submit
from service.mail.kinds import SEND_EMAIL
from service.webhooks.models import WebhookEndpoint
from service.webhooks.urls import without_tokens

IS_ENABLED = WebhookEndpoint.disabled_at.is_(None)


def has_failed_for(time: timedelta) -> ColumnElement[bool]:
    """Whether no delivery has arrived for so long."""
    return WebhookEndpoint.failing_since < func.now() - time


async def switch_off(
    tx: AsyncSession, endpoint_id: UUID, why: str, *only_if: ColumnElement[bool]
) -> None:
    """Switch the endpoint off, and submit the mail to its owner, in the caller's transaction.

    One of several callers at a time does so, and the others find `only_if` false: one mail.
    """
    off = (
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id, *only_if)
        .values(disabled_at=func.now(), disabled_because=why)
        .returning(WebhookEndpoint)
    )
    endpoint = await tx.scalar(off)
    if endpoint is None or endpoint.owner_email is None:
        return
    mail = SEND_EMAIL(
        to=endpoint.owner_email,
        subject="Your webhook endpoint was switched off",
        text=_text(endpoint, why),
    )
    submit(tx, mail, subject=f"endpoint:{endpoint_id}")


def _text(endpoint: WebhookEndpoint, why: str) -> str:
    named = f" ({endpoint.description})" if endpoint.description else ""
    return (
        f"The webhook endpoint {endpoint.id}{named} at {without_tokens(endpoint.url)}\n"
        f"was switched off, because {why}.\n\n"
        "It gets no more events. Those that come meanwhile can be delivered later.\n\n"
        "Once the endpoint is mended, enable it again:\n"
        f"    POST /v1/webhook-endpoints/{endpoint.id}/enable\n"
        "and have delivered what it missed:\n"
        f"    POST /v1/webhook-endpoints/{endpoint.id}/redeliver\n"
    )
