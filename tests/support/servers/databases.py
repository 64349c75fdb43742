"""A database of a test's own."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from outbox.postgres.address import sqlalchemy_url


@contextmanager
def new_database(server_url: str, template: str) -> Iterator[str]:
    """A copy of the template, dropped afterwards."""
    name = f"test_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(template)
    )
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    _administer(server_url, create)
    try:
        yield (
            sqlalchemy_url(server_url)
            .set(drivername="postgresql", database=name)
            .render_as_string(hide_password=False)
        )
    finally:
        _administer(server_url, drop)


def _administer(server_url: str, command: sql.Composed) -> None:
    # A connection each time: a test in between may restart the server.
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(command)
