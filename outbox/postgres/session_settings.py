"""Opens connections to Postgres, and configures their sessions as Duly needs them.

A pooler in transaction mode (PgBouncer, say) gives each transaction whichever session is free. What
is set or prepared in one session is missing in the next, and affects other clients instead. So
settings and prepared statements are only for sessions of our own. The server's process id tells
whether a session is our own: a pooler announces another one to its clients. Startup options are no
alternative: poolers refuse them, and they would replace the operator's own (PGOPTIONS, `options` in
the address or in a service file).
"""

from collections.abc import Mapping
from typing import Any

import psycopg
import sqlalchemy
from psycopg import AsyncConnection, Connection
from psycopg.abc import PQGen
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import AdaptedConnection, DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from outbox.postgres.address import conninfo
from outbox.postgres.round_trip import (
    AnyConnection,
    Statement,
    array,
    named_rows,
    plain,
    round_trip,
)

Settings = Mapping[str, str]

READ_COMMITTED = {"default_transaction_isolation": "read committed"}
"""The level that transitions are written for. At others they are right, too, but often refused."""

TRANSITION_SETTINGS = READ_COMMITTED | {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_nestloop": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""For a session that runs transitions, each of which finds its rows by an index.

Postgres would plan a transition with arrays anew each time, which costs as much as running it. A
cached plan must not suit only a table that happened to be small. When the table has grown, such a
plan would read all of it, or compare each row with each other.
"""

REPORTED = {"DateStyle": "ISO", "IntervalStyle": "postgres", "standard_conforming_strings": "on"}
"""What psycopg and SQLAlchemy need to read and write values.

Postgres reports these to its clients, so poolers know them and keep them for each client.
"""

WARNINGS = {"client_min_messages": "notice"}
"""Lets Postgres warn that a commit did not wait for its standby: see replication.py."""

POOLED = "duly.pooled"
"""In a connection's `info`: whether there is a pooler between it and Postgres."""

_CONFIGURE = Statement("""
SELECT (SELECT count(set_config(name, value, false))
        FROM unnest(%(names)s::text[], %(values)s::text[]) AS wanted (name, value)
        WHERE pg_backend_pid() = %(announced)s::int),
       pg_backend_pid() = %(announced)s::int AS is_own
""")

_CONFIGURE_TRANSACTION = """
SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS wanted (name, value)
"""


def connect(database_url: str, settings: Settings = READ_COMMITTED) -> Connection[Any]:
    """A connection that commits each statement. Raises psycopg's errors.

    The settings hold for as long as it lives, if its session is our own.
    """
    connection = psycopg.connect(conninfo(database_url), autocommit=True)
    try:
        connection.wait(configure(connection, settings))
    except BaseException:
        connection.close()
        raise
    return connection


async def connect_async(
    database_url: str, settings: Settings = READ_COMMITTED
) -> AsyncConnection[Any]:
    """As `connect`, for asyncio."""
    connection = await AsyncConnection.connect(conninfo(database_url), autocommit=True)
    try:
        await connection.wait(configure(connection, settings))
    except BaseException:
        await connection.close()
        raise
    return connection


def configure(connection: AnyConnection, settings: Settings) -> PQGen[None]:
    """Configure the session; to be run by `connection.wait`. Raises psycopg's errors.

    If it is not our own, nothing is prepared on this connection from now on: see `is_pooled`.
    """
    wanted = {**WARNINGS, **REPORTED, **settings}
    asked = {
        "names": array(wanted),
        "values": array(wanted.values()),
        "announced": str(connection.info.backend_pid),
    }
    values = _CONFIGURE.values(asked, connection.info.encoding)
    (answer,) = yield from round_trip(connection, _CONFIGURE.unprepared(values))
    if not named_rows(connection, answer)[0].is_own:
        connection.prepare_threshold = None
        yield from round_trip(
            connection,
            *(plain(f"SET {name} = {REPORTED[name]}") for name in _wrongly_reported(connection)),
        )


def is_pooled(connection: AnyConnection) -> bool:
    """Whether a pooler may give each transaction of this configured connection another session."""
    return connection.prepare_threshold is None


def configure_engine(engine: Engine, settings: Settings | None = None) -> None:
    """Configure all connections that the engine will make.

    The settings hold in every transaction of the engine. If a session is our own, that costs
    nothing; behind a pooler it costs one more statement at the beginning of each transaction.
    """
    wanted = settings or {}

    def on_connect(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        driver: Any = connection
        if isinstance(connection, AdaptedConnection):
            driver = connection.driver_connection
            connection.run_async(lambda own: own.wait(configure(own, wanted)))
        else:
            driver.wait(configure(driver, wanted))
        record.info[POOLED] = is_pooled(driver)

    def on_begin(connection: sqlalchemy.Connection) -> None:
        if connection.info.get(POOLED):
            connection.exec_driver_sql(_CONFIGURE_TRANSACTION, ([*wanted], [*wanted.values()]))

    event.listen(engine, "connect", on_connect)
    if wanted:
        event.listen(engine, "begin", on_begin)


def _wrongly_reported(connection: AnyConnection) -> list[str]:
    return [
        name
        for name, wanted in REPORTED.items()
        if not (connection.info.parameter_status(name) or "").startswith(wanted)
    ]
