"""Who may do what, and who did."""

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    Table,
    Text,
    event,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from outbox.store.schema.columns import metadata, timestamp

acts = Table(
    "acts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    timestamp("at", now=True),
    Column("who", Text, nullable=False),
    Column("why", Text),
    Column("act", Text, nullable=False),
    Column("about", ARRAY(Text), nullable=False),
    CheckConstraint(r"who ~ '\S'", name="acts_who"),
    Index("acts_by_thing", "about", postgresql_using="gin"),
)

APPEND_ONLY = """
CREATE FUNCTION duly.refuse_to_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the record of acts is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER acts_stay
BEFORE UPDATE OR DELETE OR TRUNCATE ON duly.acts
FOR EACH STATEMENT EXECUTE FUNCTION duly.refuse_to_change()
"""
event.listen(acts, "after_create", DDL(APPEND_ONLY))  # type: ignore[no-untyped-call]

paused_queues = Table(
    "paused_queues",
    metadata,
    Column("queue", Text, primary_key=True),
    timestamp("since", now=True),
    Column("who", Text, nullable=False),
    Column("why", Text),
)
"""The queues of which relays publish nothing."""

key_limits = Table(
    "key_limits",
    metadata,
    Column("key", Text, primary_key=True),
    Column("at_most", Integer),
    Column("permits", Integer),
    Column("per", Interval),
    Column("burst", Integer),
    timestamp("since", now=True),
    Column("who", Text, nullable=False),
    Column("why", Text),
)
"""What holds for a key in place of the limit and the rate that kinds declare; null: theirs."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("prefix", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    timestamp("created_at", now=True),
    timestamp("expires_at"),
    timestamp("revoked_at"),
    timestamp("last_seen_at"),
)
"""API keys. Only the hash of a key's secret is kept. `last_seen_at` is best effort."""

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("idempotency_keys_expires_at_ix", "expires_at"),
)
"""The first answer to each POST that had an Idempotency-Key."""
