"""Opens connections to Postgres, and sees to it that their sessions are as Duly needs them.

A pooler in transaction mode (PgBouncer, say) gives each transaction whichever session is free. What
is set or prepared in one session is missing in the next, and meets other clients instead. So
settings and prepared statements are for sessions of our own only. Whether a session is our own,
the server's process tells: to a pooler's clients the pooler has announced another process.
Startup options would not do: poolers refuse them, and they would replace the operator's own
(PGOPTIONS, `options` in the address or in a service file).
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

from outbox.database import conninfo
from outbox.round_trip import AnyConnection, Statement, array, named_rows, plain, round_trip

Settings = Mapping[str, str]

READ_COMMITTED = {"default_transaction_isolation": "read committed"}
"""What the engine's steps are written for. Elsewhere they are right as well, but often refused."""

STEPS = READ_COMMITTED | {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_nestloop": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""For a session that takes steps, each of which finds its rows by an index.

Postgres would plan a step of arrays anew each time it is taken, which costs as much as taking it.
A plan that is kept must not be one for a table that happened to be small: it would read all of it,
or compare each row with each other, when it has grown.
"""

REPORTED = {"DateStyle": "ISO", "IntervalStyle": "postgres", "standard_conforming_strings": "on"}
"""What psycopg and SQLAlchemy need to read and write values.

Postgres reports these to its clients, so poolers know them, and keep them for each client.
"""

HEARS_WARNINGS = {"client_min_messages": "notice"}
"""How Postgres tells that a commit did not wait for its standby: see outbox/replication.py."""

POOLED = "duly.pooled"
"""In a connection's `info`: there is a pooler between it and Postgres."""

_SETTLE = Statement("""
SELECT (SELECT count(set_config(name, value, false))
        FROM unnest(%(names)s::text[], %(values)s::text[]) AS wanted (name, value)
        WHERE pg_backend_pid() = %(announced)s::int),
       pg_backend_pid() = %(announced)s::int AS is_own
""")


def connect(database_url: str, settings: Settings = READ_COMMITTED) -> Connection[Any]:
    """A connection that commits each statement. Raises psycopg's errors.

    The settings hold for as long as it lives, if its session is our own.
    """
    connection = psycopg.connect(conninfo(database_url), autocommit=True)
    try:
        connection.wait(settle(connection, settings))
    except BaseException:
        connection.close()
        raise
    return connection


async def connect_async(
    database_url: str, settings: Settings = READ_COMMITTED
) -> AsyncConnection[Any]:
    """The same for asyncio."""
    connection = await AsyncConnection.connect(conninfo(database_url), autocommit=True)
    try:
        await connection.wait(settle(connection, settings))
    except BaseException:
        await connection.close()
        raise
    return connection


def settle(connection: AnyConnection, settings: Settings) -> PQGen[None]:
    """Make the session as it should be, for `connection.wait`. Raises psycopg's errors.

    Where it is not our own, nothing is prepared over this connection from now on: `is_pooled`.
    """
    wanted = {**HEARS_WARNINGS, **REPORTED, **settings}
    asked = {
        "names": array(wanted),
        "values": array(wanted.values()),
        "announced": str(connection.info.backend_pid),
    }
    values = _SETTLE.values(asked, connection.info.encoding)
    (answer,) = yield from round_trip(connection, _SETTLE.unprepared(values))
    if not named_rows(connection, answer)[0].is_own:
        connection.prepare_threshold = None
        yield from round_trip(
            connection,
            *(plain(f"SET {name} = {REPORTED[name]}") for name in _wrongly_reported(connection)),
        )


def is_pooled(connection: AnyConnection) -> bool:
    """Whether a pooler may give each transaction of this settled connection another session."""
    return connection.prepare_threshold is None


def settle_engine(engine: Engine, settings: Settings | None = None) -> None:
    """Have all connections that the engine will make settled.

    The settings hold in every transaction of the engine. Where a session is our own that costs
    nothing; behind a pooler it is a statement more at the beginning of each transaction.
    """
    wanted = settings or {}

    def settled(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        driver: Any = connection
        if isinstance(connection, AdaptedConnection):
            driver = connection.driver_connection
            connection.run_async(lambda own: own.wait(settle(own, wanted)))
        else:
            driver.wait(settle(driver, wanted))
        record.info[POOLED] = is_pooled(driver)

    def begun(connection: sqlalchemy.Connection) -> None:
        if connection.info.get(POOLED):
            connection.exec_driver_sql(_LOCALLY, ([*wanted], [*wanted.values()]))

    event.listen(engine, "connect", settled)
    if wanted:
        event.listen(engine, "begin", begun)


_LOCALLY = """
SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS wanted (name, value)
"""


def _wrongly_reported(connection: AnyConnection) -> list[str]:
    return [
        name
        for name, wanted in REPORTED.items()
        if not (connection.info.parameter_status(name) or "").startswith(wanted)
    ]
