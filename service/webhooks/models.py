"""The tables of webhook endpoints, and of what was delivered to them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, false, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from service.base import Base


class WebhookEndpoint(Base):
    """An address that receives events. `secret` signs what is sent to it."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    secret: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    description: Mapped[str | None]
    owner_email: Mapped[str | None]
    """Who is told when the endpoint is switched off."""
    ordered: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether events of one subject arrive in their order."""
    disabled_at: Mapped[datetime | None]
    """When the endpoint was switched off; None while it is enabled."""
    disabled_because: Mapped[str | None]
    failing_since: Mapped[datetime | None]
    """When it first failed after its last success; None unless its newest delivery has failed."""
    old_secret: Mapped[str | None]
    """The secret before the last rotation, which signs as well until `old_secret_until`."""
    old_secret_until: Mapped[datetime | None]


class WebhookDelivery(Base):
    """What one job has sent to an endpoint, and what that answered. Written as an attempt ends."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The job's id: a UUIDv7, so ids are in the order of submission."""
    endpoint_id: Mapped[UUID]
    event: Mapped[str]
    event_id: Mapped[UUID]
    """The `webhook-id`."""
    subject: Mapped[str | None]
    """What the event is about."""
    body: Mapped[str]
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """Its newest attempts, first to last, each as actors/delivering/attempt.py describes it."""
    delivered_at: Mapped[datetime | None]
    redelivered_as: Mapped[UUID | None]
    """The job that delivers the event again, because somebody has asked for it."""

    __table_args__ = (
        Index("webhook_deliveries_of_endpoint_ix", "endpoint_id", "id"),
        Index(
            "webhook_deliveries_undelivered_ix",
            "endpoint_id",
            "id",
            postgresql_where=text("delivered_at IS NULL AND redelivered_as IS NULL"),
        ),
    )
