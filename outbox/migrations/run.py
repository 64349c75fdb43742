"""Migrates a database: the library's tables, then the app's own. `duly migrate` calls this."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, MetaData, NullPool, create_engine, text

from outbox.migrations import versions
from outbox.migrations.lock import MigrationError, migration_lock
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.replication import watch_commits
from outbox.postgres.session_settings import Settings, configure_engine
from outbox.store.schema import metadata
from outbox.store.sequences import Behind, mend

if TYPE_CHECKING:
    from alembic.config import Config

SETTINGS = {"lock_timeout": "5s", "search_path": ""}
"""Session settings of each migration. All SQL names its schema, whatever the operator's path."""

INDEX_SETTINGS = SETTINGS | {"lock_timeout": "0", "statement_timeout": "0"}
"""Settings of a build of indexes. It may take hours; writers go on while it waits for a lock."""


def upgrade(
    database_url: str,
    app_migrations: Path | None = None,
    revision: str = "head",
    *,
    wait_seconds: float = 60,
    on_wait: Callable[[], None] = lambda: None,
) -> None:
    """Bring the library's tables up to date, then the app's to `revision` of its Alembic folder.

    If `revision` is not the head, the library's tables go only to the version that it asks for.
    Several may start at once: they take turns, and `on_wait` is called once if this one waits.

    Raises MigrationError if it waits longer than `wait_seconds`, if the revision is unknown, and if
    the database is not UTF-8. Raises SQLAlchemy's errors for what Postgres refuses, or commits
    without waiting for its standby. Migrations completed before an error or a crash stay.
    """
    with _engine(database_url) as engine, migration_lock(engine, wait_seconds, on_wait):
        if app_migrations is None or revision == "head":
            _upgrade_library(engine, database_url)
        if app_migrations is not None:
            _alembic(engine, app_migrations, "upgrade", revision)


def downgrade(database_url: str, app_migrations: Path, revision: str) -> None:
    """Downgrade the app's tables to `revision`, and the library's as its revisions say."""
    with _engine(database_url) as engine:
        _alembic(engine, app_migrations, "downgrade", revision)


def advance_sequences(database_url: str, *app_tables: MetaData) -> list[Behind]:
    """Advance each sequence that is behind its rows past their largest number; return those.

    The database must have all migrations. Raises SQLAlchemy's errors.
    """
    with _engine(database_url) as engine, engine.begin() as connection:
        return mend(connection, metadata, *app_tables)


def _upgrade_library(engine: Engine, database_url: str) -> None:
    with engine.connect() as connection:
        found = versions.installed(connection)
    for version in versions.between(found, versions.LATEST):
        if versions.builds_indexes(version):
            _build_indexes(database_url, version)
        else:
            with engine.begin() as connection:
                versions.apply(connection, version)


def _build_indexes(database_url: str, version: int) -> None:
    with _engine(database_url, INDEX_SETTINGS) as engine, engine.connect() as connection:
        versions.apply(connection.execution_options(isolation_level="AUTOCOMMIT"), version)


def _alembic(engine: Engine, folder: Path, command: str, revision: str) -> None:
    from alembic import command as commands
    from alembic.util import CommandError

    try:
        getattr(commands, command)(_config(engine, folder), revision)
    except CommandError as error:
        raise MigrationError(str(error)) from None


def _config(engine: Engine, folder: Path) -> "Config":
    """Alembic's configuration, without an ini file."""
    from alembic.config import Config

    alembic = Config()
    alembic.set_main_option("script_location", str(folder))
    alembic.attributes["engine"] = engine
    return alembic


@contextmanager
def _engine(database_url: str, settings: Settings = SETTINGS) -> Iterator[Engine]:
    engine = create_engine(
        sqlalchemy_url(database_url), poolclass=NullPool, isolation_level="READ COMMITTED"
    )
    configure_engine(engine, settings)
    watch_commits(engine)
    _require_utf8(engine)
    yield engine


def _require_utf8(engine: Engine) -> None:
    """Raise MigrationError unless it is: payloads hold any text, which only UTF-8 can store."""
    with engine.connect() as connection:
        encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise MigrationError(f"the database's encoding is {encoding}, and has to be UTF8")
