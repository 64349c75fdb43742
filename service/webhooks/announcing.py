"""Tells webhook endpoints of an event: for whoever has something to tell."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from outbox import Work, submit
from service.webhooks.kinds import DELIVER_IN_ORDER, DELIVER_WEBHOOK
from service.webhooks.models import WebhookEndpoint


def announce(session: Session, event: str, data: Mapping[str, Any], subject: str) -> None:
    """Submit a delivery to each endpoint that listens for the event, with the session's commit.

    `event` is a name such as `invoice.rendered`; `subject` says what it is about, such as
    `invoice:<id>`, in up to 150 visible ASCII characters: an endpoint that asks for order gets the
    events of one subject in the order in which their transactions committed. In an `AsyncSession`,
    `await session.run_sync(announce, ...)`. If the process dies before the commit, nobody is told.

    Disabled endpoints are told, too: what they miss becomes dead letters, and can be delivered
    again. Raises pydantic.ValidationError for an event or subject that is none.
    """
    listening = select(WebhookEndpoint).where(WebhookEndpoint.events.bool_op("&&")([event, "*"]))
    for endpoint in session.scalars(listening):
        work = delivery(endpoint, event, data, subject)
        submit(session, work, subject=subject)


def delivery(
    endpoint: WebhookEndpoint,
    event: str,
    data: Mapping[str, Any],
    subject: str | None,
    event_id: UUID | None = None,
) -> Work[Any]:
    """The work that delivers the event, in order if the endpoint asks for that."""
    given: dict[str, Any] = {
        "endpoint_id": endpoint.id,
        "event": event,
        "data": dict(data),
        "event_id": event_id,
    }
    if endpoint.ordered and subject:
        return DELIVER_IN_ORDER(**given, order_by=subject)
    return DELIVER_WEBHOOK(**given)
