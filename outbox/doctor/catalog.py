"""All checks of the library, in the order in which they are shown."""

from outbox.doctor.check import Check
from outbox.doctor.checks import app, broker, keys, postgres, sessions, tables, workers

CHECKS: tuple[Check, ...] = (
    app.python,
    app.actors,
    postgres.postgres,
    postgres.postgres_version,
    postgres.encoding,
    postgres.collation,
    postgres.read_only,
    sessions.pooler,
    sessions.isolation,
    sessions.timeouts,
    tables.migrations,
    tables.rights,
    tables.record_of_acts,
    tables.sequences,
    workers.workers,
    workers.window,
    keys.api_keys,
    broker.rabbitmq,
    broker.rabbitmq_version,
    broker.rabbitmq_rights,
    broker.queues,
)
