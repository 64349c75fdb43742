"""Messages to other services as the API shows them."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from outbox.operations.flow.outgoing import MessageRecord, State
from outbox.store.records import fields


class EventShown(BaseModel):
    """A message to another service, without its body."""

    id: UUID = Field(description="The message id, the same each time that it is sent.")
    exchange: str
    routing_key: str
    type: str
    state: State = Field(
        description="`waiting` until it is sent, `deferred` after the broker has refused it, "
        "`dead` while it is a dead letter, `sent` once the broker has confirmed it."
    )
    size: int = Field(description="Bytes of its body.")
    failures: int = Field(description="How often the broker has refused it.")
    created_at: datetime
    deferred_until: datetime | None
    sent_at: datetime | None

    @classmethod
    def of(cls, message: MessageRecord) -> "EventShown":
        """The message as clients see it."""
        return cls.model_validate(fields(message))


class EventPage(BaseModel):
    """A page of messages, the newest first."""

    events: list[EventShown]
    next_cursor: str | None
