"""The jobs of webhooks."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from outbox import Kind, Retry
from service.payload import Payload


class DeliverWebhook(Payload):
    """One event to one webhook endpoint."""

    endpoint_id: UUID
    event: Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)+$", max_length=100)]
    data: dict[str, Any]


class EndpointGone(Exception):
    """The webhook endpoint was deleted or disabled."""


class AddressRefused(Exception):
    """This service may not call the webhook's address."""


class EndpointMoved(Exception):
    """The webhook endpoint answered that its address changed permanently (301 or 308)."""


DELIVER_WEBHOOK = Kind(
    "webhook.deliver",
    DeliverWebhook,
    queue="webhooks",
    time_limit=timedelta(minutes=1),
    retry=Retry(attempts=8, never=(EndpointGone, EndpointMoved, AddressRefused)),
    sensitive=("data",),
    owner="integrations",
    idempotency="the same webhook-id, by which the receiver knows a repetition",
)
