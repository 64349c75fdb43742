"""The table of webhook endpoints."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, func
from sqlalchemy.dialects.postgresql import ARRAY
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
    disabled_at: Mapped[datetime | None]
    """When the endpoint answered 410 Gone and was disabled; None while it is enabled."""
