"""What Alembic runs for each command, with the engine that migrations/run.py gives it."""

from alembic import context

from outbox.store.schema import metadata
from service.models import Base

with context.config.attributes["engine"].connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=[metadata, Base.metadata],
        include_schemas=True,
        transaction_per_migration=True,
        version_table_schema="public",
    )
    with context.begin_transaction():
        context.run_migrations()
