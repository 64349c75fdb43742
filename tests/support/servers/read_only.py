"""A database that takes no writes, as on a standby or a primary that was demoted."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

CHANGE = "ALTER DATABASE {} {} default_transaction_read_only {}"


@contextmanager
def read_only(sql_now: psycopg.Connection) -> Iterator[None]:
    """Sessions that begin meanwhile are read-only, and stay so."""
    name = sql.Identifier(sql_now.info.dbname)
    sql_now.execute(sql.SQL(CHANGE).format(name, sql.SQL("SET"), sql.SQL("= on")))
    try:
        yield
    finally:
        sql_now.execute(sql.SQL(CHANGE).format(name, sql.SQL("RESET"), sql.SQL("")))
