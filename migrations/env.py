"""Alembic runs this for each command, with the engine that outbox/migrations/run.py provides."""

from alembic import context

from outbox.store.schema import metadata
from service.subjects import TABLES

with context.config.attributes["engine"].connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=[metadata, TABLES],
        include_schemas=True,
        transaction_per_migration=True,
        version_table_schema="public",
    )
    with context.begin_transaction():
        context.run_migrations()
