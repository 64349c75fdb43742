"""Builds the indexes of a version outside of a transaction, so that writers go on meanwhile.

Postgres leaves an invalid index behind when such a build fails or is killed, and
`CREATE INDEX ... IF NOT EXISTS` takes that for the index. So what is there is looked at before.
"""

import re
import time
from typing import Any

from sqlalchemy import Connection, text

from outbox.migrations.lock import POLL_SECONDS

_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (\w+) ON (duly\.\w+) ")
_DROPPED = re.compile(r"DROP INDEX CONCURRENTLY IF EXISTS duly\.\w+")
_IS_BUILDING = text("""
SELECT count(*) FROM pg_stat_progress_create_index WHERE relid = to_regclass(:table)
""")
_IS_VALID = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def commits_each_statement(connection: Connection) -> bool:
    """Whether each statement of this connection commits by itself."""
    driver: Any = connection.connection.dbapi_connection
    return bool(driver.autocommit)


def build(connection: Connection, sql: str) -> None:
    """Build those of the file's indexes that are missing or invalid, one after the other.

    Then the file may drop others. Each statement has to commit by itself. What was built before an
    error or a crash stays.
    """
    for statement in filter(str.strip, sql.split(";")):
        if found := _INDEX.search(statement):
            _build(connection, statement, *found.groups())
        elif _DROPPED.search(statement):
            connection.exec_driver_sql(statement)
        else:
            raise ValueError(f"no CREATE INDEX CONCURRENTLY of Duly's: {statement.strip()}")


def _build(connection: Connection, statement: str, name: str, table: str) -> None:
    # The statement of a process that was killed may still run in Postgres. To wait for its lock
    # would be a deadlock: it waits for whoever began to look at the database before it ends.
    while connection.scalar(_IS_BUILDING, {"table": table}):
        time.sleep(POLL_SECONDS)
    is_valid = connection.scalar(_IS_VALID, {"name": f"duly.{name}"})
    if is_valid:
        return
    if is_valid is not None:
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY duly.{name}")
    connection.exec_driver_sql(statement.replace("%", "%%"))
