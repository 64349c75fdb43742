"""What processes know of each other and of these tables."""

from sqlalchemy import (
    Column,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from outbox.store.schema.columns import metadata, timestamp

workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("queues", JSONB, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("tasks", Integer, nullable=False, server_default=text("0")),
    timestamp("started_at", now=True),
    timestamp("heartbeat_at", now=True),
    Column("code", JSONB),
)
"""The workers that send heartbeats. `code` is null for one of a release that did not say it."""

migrations = Table(
    "migrations",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    timestamp("applied_at", now=True),
)
"""The versions of these tables that the database has had: see outbox/migrations."""
