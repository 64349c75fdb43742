"""Runs the migrations: `duly migrate` and the tests call these."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Engine, NullPool, create_engine, text

from migrations.turn import turn
from outbox.database import sqlalchemy_url
from outbox.postgres import settle_engine
from outbox.replication import watch_commits
from outbox.schema import metadata
from outbox.sequences import Behind, mend
from service.models import Base

SETTINGS = {"lock_timeout": "5s", "search_path": ""}
"""Of each migration. All names say their schema: a search path is the operator's."""


def upgrade(
    database_url: str,
    revision: str = "head",
    *,
    wait_seconds: float = 60,
    on_wait: Callable[[], None] = lambda: None,
) -> None:
    """Bring the database to `revision`. Safe when several start at once: they take turns.

    Calls `on_wait` where another has the turn. Raises CommandError where that takes longer than
    `wait_seconds`, for an unknown revision, and for a database that is not UTF-8; SQLAlchemy's
    errors for what Postgres refuses, or has committed without waiting for its standby. Migrations
    that were completed before stay.
    """
    with _engine(database_url) as engine, turn(engine, wait_seconds, on_wait):
        command.upgrade(_config(engine), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Take the database back to `revision`; `base` leaves nothing of ours."""
    with _engine(database_url) as engine:
        command.downgrade(_config(engine), revision)


def mend_sequences(database_url: str) -> list[Behind]:
    """Move sequences that are behind past the largest number of their rows; returns which were.

    For a database with all migrations. Raises SQLAlchemy's errors.
    """
    with _engine(database_url) as engine, engine.begin() as connection:
        return mend(connection, metadata, Base.metadata)


@contextmanager
def _engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(
        sqlalchemy_url(database_url), poolclass=NullPool, isolation_level="READ COMMITTED"
    )
    settle_engine(engine, SETTINGS)
    watch_commits(engine)
    _require_utf8(engine)
    yield engine


def _require_utf8(engine: Engine) -> None:
    """Payloads are JSON of any text, which other encodings cannot store."""
    with engine.connect() as connection:
        encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise CommandError(f"the database's encoding is {encoding}, and has to be UTF8")


def _config(engine: Engine) -> Config:
    """Alembic's configuration, without an ini file."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent))
    alembic.attributes["engine"] = engine
    return alembic
