"""Asks Postgres, on a connection for each check, so that no check disturbs another."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, NullPool, Row, create_engine

from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.session_settings import POOLED, configure_engine

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 4
"""Less than a check has, so that Postgres does not go on with what nobody waits for."""


class Postgres:
    """One Postgres. Whatever is done in it is rolled back."""

    def __init__(self, address: str) -> None:
        self._engine = create_engine(
            sqlalchemy_url(address),
            poolclass=NullPool,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            connect_args={"connect_timeout": CONNECT_SECONDS},
        )
        configure_engine(self._engine)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in a transaction, which is rolled back. Raises SQLAlchemy's errors."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")
            yield connection
            connection.rollback()

    def rows(self, query: str, **parameters: Any) -> list[Row[Any]]:
        """The rows that it answers. Raises SQLAlchemy's errors."""
        with self.connection() as connection:
            return [*connection.exec_driver_sql(query, parameters)]

    def row(self, query: str, **parameters: Any) -> Row[Any]:
        """The only row. Raises SQLAlchemy's errors."""
        (found,) = self.rows(query, **parameters)
        return found

    def is_pooled(self) -> bool:
        """Whether a pooler may give each transaction another session."""
        with self.connection() as connection:
            return bool(connection.info[POOLED])
