"""Connects the commands to Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from outbox.cli.app import settings
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.replication import watch_commits
from outbox.postgres.session_settings import configure_engine

CONNECT_SECONDS = 5


@contextmanager
def session() -> Iterator[Session]:
    """A session that connects on first use, and keeps its connection, or replaces one that broke.

    Objects keep their values after a commit, which raises if Postgres did not wait for its standby.
    """
    engine = create_engine(
        sqlalchemy_url(settings().database_url),
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": CONNECT_SECONDS},
    )
    configure_engine(engine)
    watch_commits(engine)
    try:
        with Session(engine, expire_on_commit=False) as opened:
            yield opened
    finally:
        engine.dispose()
