"""Publishes messages for other services, in the caller's transaction."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from outbox.amqp import outgoing
from outbox.publishing import body, cloud_events, headers, tracing
from outbox.publishing.body import Content
from outbox.publishing.headers import LARGEST_HEADERS, Headers
from outbox.submission.pending import add
from outbox.submission.rows import Row

SOURCE = "duly"
PERSISTENT = 2


@dataclass(frozen=True, slots=True)
class PublishedMessage:
    """A message as published; it exists once the caller's transaction has committed."""

    id: UUID
    """The message id, the same each time that it is sent: by it the receiver knows it again."""
    exchange: str
    routing_key: str


def publish(
    session: Session | AsyncSession,
    exchange: str,
    routing_key: str,
    message: Content,
    *,
    type: str,  # noqa: A002 - CloudEvents calls it so
    source: str = SOURCE,
    subject: str | None = None,
    time: datetime | None = None,
    content_type: str | None = None,
    headers: Headers | None = None,
    traceparent: str | None = None,
    tracestate: str | None = None,
) -> PublishedMessage:
    """Have a message for other services written by the commit of the session's transaction.

    As with `submit`, nothing is awaited, and nothing written yet. If the transaction rolls back, or
    the savepoint in which it was published, or if the process dies before the commit, there is no
    message. Once it has committed, a relay sends it to the exchange, until the broker confirms it.
    It may be sent more than once, each time with the same message id.

    A pydantic model or a mapping is sent as JSON, bytes as they are. `type` (such as
    `order.shipped`), `source`, `subject` and `time` are CloudEvents' attributes; `time` is now, if
    not given. `traceparent` and `tracestate` are those of OpenTelemetry's current span, if not
    given. The exchange must exist, and a queue must be bound to it for the routing key; the default
    exchange, `""`, routes to the queue of that name. A message that the broker does not take backs
    off, and becomes a dead letter in the end.

    Raises ValueError for names of more than 255 bytes, a body of more than `LARGEST_BODY` bytes,
    attributes or headers that cannot be sent, and what `submit` raises if the session can run
    nothing; TypeError for what is no message.
    """
    own = session.sync_session if isinstance(session, AsyncSession) else session
    id_ = uuid7()
    given = _Envelope(type, source, subject, time, content_type, headers or {})
    trace = tracing.checked(traceparent, tracestate) or tracing.current(exchange, routing_key, id_)
    row = _row(id_, exchange, routing_key, message, given, trace)
    add(own, [row], may_write=own is session)
    return PublishedMessage(id_, exchange, routing_key)


@dataclass(frozen=True, slots=True)
class _Envelope:
    """What a message says of itself."""

    type: str
    source: str
    subject: str | None
    time: datetime | None
    content_type: str | None
    headers: Headers

    def encode(self, id_: UUID, trace: dict[str, str], content_type: str) -> bytes:
        """AMQP's properties. Raises ValueError."""
        attributes = cloud_events.headers(
            id_, type_=self.type, source=self.source, subject=self.subject, time=self.time
        )
        properties = outgoing.encode(
            message_id=str(id_),
            delivery_mode=PERSISTENT,
            type=headers.name("type", self.type),
            content_type=headers.name("content_type", self.content_type or content_type),
            headers=headers.checked(self.headers) | attributes | trace,
        )
        if len(properties) > LARGEST_HEADERS:
            raise ValueError(f"the headers of a message have {LARGEST_HEADERS} bytes at most")
        return properties


def _row(
    id_: UUID,
    exchange: str,
    routing_key: str,
    message: Content,
    given: _Envelope,
    trace: dict[str, str],
) -> Row:
    if not (exchange or routing_key):
        raise ValueError("the default exchange needs a routing key: the name of the queue")
    content, content_type = body.encode(message)
    return {
        "id": str(id_),
        "exchange": headers.name("exchange", exchange),
        "routing_key": headers.name("routing key", routing_key),
        "type": given.type,
        "properties": b64encode(given.encode(id_, trace, content_type)).decode(),
        "body": b64encode(content).decode(),
    }
