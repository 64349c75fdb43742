"""Messages to other services, and of other services."""

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)

from outbox.store.schema.columns import NUMBERED, metadata, timestamp

outgoing_messages = Table(
    "outgoing_messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    # A message that is published after another had committed has the higher one.
    Column(
        "position",
        BigInteger,
        Identity(always=True),
        nullable=False,
        info={NUMBERED: "sent_at IS NULL AND deferred_until IS NULL"},
    ),
    Column("exchange", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("type", Text, nullable=False),
    # As AMQP encodes them: the relay only passes them on.
    Column("properties", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    timestamp("created_at", now=True),
    Column("failures", SmallInteger, nullable=False, server_default=text("0")),
    # 'infinity' once it is a dead letter.
    timestamp("deferred_until"),
    timestamp("sent_at"),
    Index(
        "outgoing_messages_in_order",
        "position",
        postgresql_where=text("sent_at IS NULL AND deferred_until IS NULL"),
    ),
    Index(
        "outgoing_messages_deferred",
        "deferred_until",
        postgresql_where=text("deferred_until IS NOT NULL"),
    ),
    Index("outgoing_messages_sent", "sent_at", postgresql_where=text("sent_at IS NOT NULL")),
)
"""Messages that `publish` wrote. One that was sent is kept for a while, to be sent again."""

received_messages = Table(
    "received_messages",
    metadata,
    Column("queue", Text, primary_key=True),
    Column("message_id", Text, primary_key=True),
    # How often it was begun after RabbitMQ had delivered it again, while it is not done.
    Column("deliveries", SmallInteger, nullable=False, server_default=text("0")),
    timestamp("received_at", now=True),
    timestamp("done_at"),
    Index("received_messages_by_age", "received_at"),
)
"""Messages of other services that consumers have begun. One with `done_at` is not done again."""
