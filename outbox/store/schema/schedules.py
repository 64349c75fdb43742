"""Schedules and their ticks."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from outbox.store.schema.columns import among, metadata, timestamp

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("cron", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("attempt_budget", Integer, nullable=False),
    Column("subject", Text),
    Column("overlap", Text, nullable=False),
    Column("missed", Text, nullable=False),
    Column("catch_up_seconds", Integer, nullable=False),
    Column("jitter_seconds", Integer, nullable=False),
    Column("version", Integer, nullable=False, server_default=text("1")),
    # The earliest tick that is not in `ticks`; NULL if none will come.
    timestamp("next_due_at"),
    timestamp("paused_at"),
    timestamp("created_at", now=True),
    timestamp("updated_at", now=True),
    timestamp("deleted_at"),
    Column("keys", ARRAY(Text)),
    Column("is_ordered", Boolean),
    CheckConstraint(among("source", ("code", "runtime")), name="schedules_source"),
    Index("schedules_due", "next_due_at"),
)

ticks = Table(
    "ticks",
    metadata,
    Column("schedule", Text, primary_key=True),
    Column("due_at", DateTime(timezone=True), primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("why", Text),
    Column("job_id", Uuid),
    timestamp("recorded_at", now=True),
    CheckConstraint(among("outcome", ("made", "waiting", "skipped")), name="ticks_outcome"),
    Index("ticks_made", "schedule", "due_at", postgresql_where=text("job_id IS NOT NULL")),
    Index("ticks_waiting", "schedule", "due_at", postgresql_where=text("outcome = 'waiting'")),
)
