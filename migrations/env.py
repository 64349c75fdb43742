"""What Alembic runs for each command."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from outbox.database import sqlalchemy_url
from outbox.schema import metadata
from service.models import Base

TURN = 0x64756C79
"""The advisory lock that migrating processes take turns with ("duly" in ASCII)."""

engine = create_engine(
    sqlalchemy_url(context.config.attributes["database_url"]), poolclass=pool.NullPool
)
with engine.connect() as connection:
    connection.execute(text("SELECT pg_advisory_lock(:turn)"), {"turn": TURN})
    connection.execute(text("SET lock_timeout = '5s'"))
    # Else a role called duly, as ours is, would put the service's tables among the engine's.
    connection.execute(text("SET search_path = public"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=[metadata, Base.metadata],
        include_schemas=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
