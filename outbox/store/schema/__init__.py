"""The library's tables, in a Postgres schema of their own; outbox/migrations makes them.

There are no foreign keys between them: each transition writes its rows in one statement, and a key
check on the hot path would cost every job a lookup and a row lock. `jobs` has no CHECK constraints
either: Postgres reads them anew for every statement that writes a row.
"""

from outbox.store.schema.batches import batch_callbacks, batch_changes, batches
from outbox.store.schema.columns import SCHEMA, metadata
from outbox.store.schema.jobs import (
    attempts,
    dead_letters,
    jobs,
    key_holders,
    outbox_events,
    publications,
    refusals,
    unique_keys,
)
from outbox.store.schema.messages import outgoing_messages, received_messages
from outbox.store.schema.people import acts, api_keys, idempotency_keys, paused_queues
from outbox.store.schema.processes import migrations, workers
from outbox.store.schema.schedules import schedules, ticks

__all__ = [
    "SCHEMA",
    "acts",
    "api_keys",
    "attempts",
    "batch_callbacks",
    "batch_changes",
    "batches",
    "dead_letters",
    "idempotency_keys",
    "jobs",
    "key_holders",
    "metadata",
    "migrations",
    "outbox_events",
    "outgoing_messages",
    "paused_queues",
    "publications",
    "received_messages",
    "refusals",
    "schedules",
    "ticks",
    "unique_keys",
    "workers",
]
