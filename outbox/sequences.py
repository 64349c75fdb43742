"""Finds and mends sequences that have fallen behind the numbers of their rows.

Logical replication copies rows and leaves sequences as they are. So after a switchover, or an
import of rows alone, a sequence may give out a number that a row already has, and Postgres refuses
the insert. Existing numbers stay, as people type them: the sequence moves past the largest.
"""

from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from sqlalchemy import Connection, Identity, MetaData

from outbox.refused import first_line, is_about_one
from outbox.schema import metadata

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Behind:
    """A table whose sequence is behind its rows, and the largest number of these."""

    table: str
    largest: int


def _numbered(*metadatas: MetaData) -> list[tuple[str, str]]:
    """Each table that has a sequence, and the column that this numbers."""
    return [
        (table.fullname, column.name)
        for each in metadatas
        for table in each.sorted_tables
        for column in table.columns
        if isinstance(column.server_default, Identity)
    ]


def _find(*metadatas: MetaData) -> str:
    """The query for what is behind, without the sequences that the role may not read."""
    numbered = " UNION ALL ".join(
        f"SELECT '{table}' AS name, pg_get_serial_sequence('{table}', '{column}') AS sequence,"  # noqa: S608 - names of our own
        f" (SELECT max({column}) FROM {table}) AS largest"
        for table, column in _numbered(*metadatas)
    )
    return f"""
SELECT name, sequence, largest FROM ({numbered}) AS numbered
WHERE largest > CASE WHEN has_sequence_privilege(sequence, 'SELECT, USAGE')
                     THEN coalesce(pg_sequence_last_value(sequence::regclass), 0) ELSE largest END
"""  # noqa: S608


LOCK = "hashtext('duly: move sequences on')"
"""The key of the advisory lock of who moves sequences."""


def _mend(*metadatas: MetaData) -> str:
    """The statement that moves on what is behind.

    One at a time, and it looks once it has the lock: a second that had looked before would move a
    sequence back that the first has moved, and that has given out numbers since.
    """
    return f"""
WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock({LOCK}))
SELECT name, setval(sequence::regclass, largest)
FROM ({_find(*metadatas)}) AS behind
WHERE (SELECT count(*) FROM locked) = 1
"""  # noqa: S608


MEND = _mend(metadata)
"""The step that moves the engine's sequences past the largest number. It needs UPDATE on them.

It may be taken at any time. Whoever inserts meanwhile may be refused once more, and mends again.
"""
UNMENDED = "sequences are behind their rows, run `duly migrate`"
PRIMARY_KEYS = {f"{table.rpartition('.')[2]}_pkey" for table, _ in _numbered(metadata)}


def is_duplicate(error: BaseException) -> bool:
    """Whether Postgres refused a row since one of the engine's sequences is behind."""
    return isinstance(error, UniqueViolation) and error.diag.constraint_name in PRIMARY_KEYS


async def move_on(database: AsyncConnection[Any]) -> None:
    """Take `MEND`; where the role may not, say so. Raises psycopg's other errors."""
    try:
        await database.execute(MEND)
    except psycopg.Error as error:
        if not is_about_one(error):
            raise
        log.warning(UNMENDED, why=first_line(error))


def behind(connection: Connection, *metadatas: MetaData) -> list[Behind]:
    """The tables whose sequence is behind."""
    found = connection.exec_driver_sql(_find(*metadatas))
    return [Behind(name, largest) for name, _, largest in found]


def mend(connection: Connection, *metadatas: MetaData) -> list[Behind]:
    """Move each sequence that is behind past the largest number; returns what was behind."""
    return [Behind(*row) for row in connection.exec_driver_sql(_mend(*metadatas))]
