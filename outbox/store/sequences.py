"""Finds and advances sequences that have fallen behind the numbers of their rows.

Logical replication copies rows, but not the state of sequences. So after a switchover, or an import
of rows alone, a sequence may give out a number that a row already has, and Postgres refuses the
insert. Existing numbers stay, because people type them: the sequence moves past the largest. Each
largest number is the end of an index.
"""

from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from sqlalchemy import Column, Connection, Identity, MetaData

from outbox.postgres.refused_records import first_line, is_about_one
from outbox.store.schema import metadata
from outbox.store.schema.columns import NUMBERED

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Behind:
    """A table whose sequence is behind its rows, and the largest number in them."""

    table: str
    largest: int


def _identity_columns(*metadatas: MetaData) -> list[Column[Any]]:
    """The columns whose numbers sequences give out."""
    return [
        column
        for each in metadatas
        for table in each.sorted_tables
        for column in table.columns
        if isinstance(column.server_default, Identity)
    ]


def _numbered(column: Column[Any]) -> str:
    """The query for a table's name, its sequence, and the largest number that counts."""
    table, counts = column.table.fullname, column.info.get(NUMBERED, "true")
    return (
        f"SELECT '{table}' AS name, pg_get_serial_sequence('{table}', '{column.name}') AS sequence,"  # noqa: S608 - our own names
        f" (SELECT max({column.name}) FROM {table} WHERE {counts}) AS largest"
    )


def _find_behind(*metadatas: MetaData) -> str:
    """The query for what is behind, without the sequences that the role may not read."""
    numbered = " UNION ALL ".join(map(_numbered, _identity_columns(*metadatas)))
    return f"""
SELECT name, sequence, largest FROM ({numbered}) AS numbered
WHERE largest > CASE WHEN has_sequence_privilege(sequence, 'SELECT, USAGE')
                     THEN coalesce(pg_sequence_last_value(sequence::regclass), 0) ELSE largest END
"""  # noqa: S608


LOCK = "hashtext('duly: move sequences on')"
"""The key of the advisory lock that is held while sequences are advanced."""


def _advance_behind(*metadatas: MetaData) -> str:
    """The statement that advances what is behind.

    One runs at a time, and looks only once it has the lock. If it looked before, it could move a
    sequence back that another has advanced meanwhile, and that has given out numbers since.
    """
    return f"""
WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock({LOCK}))
SELECT name, setval(sequence::regclass, largest)
FROM ({_find_behind(*metadatas)}) AS behind
WHERE (SELECT count(*) FROM locked) = 1
"""  # noqa: S608


ADVANCE_SEQUENCES = _advance_behind(metadata)
"""Advances the engine's sequences past the largest number in use. Needs UPDATE on them.

It may run at any time. A concurrent insert may be refused once more; its writer then runs it again.
"""
SEQUENCES_BEHIND = "sequences are behind their rows, run `duly migrate`"
PRIMARY_KEYS = {f"{column.table.name}_pkey" for column in _identity_columns(metadata)}


def is_duplicate(error: BaseException) -> bool:
    """Whether Postgres refused a row because one of the engine's sequences is behind."""
    return isinstance(error, UniqueViolation) and error.diag.constraint_name in PRIMARY_KEYS


async def advance_async(database: AsyncConnection[Any]) -> None:
    """Execute `ADVANCE_SEQUENCES`; log a warning if Postgres refuses it.

    Raises psycopg's other errors.
    """
    try:
        await database.execute(ADVANCE_SEQUENCES)
    except psycopg.Error as error:
        if not is_about_one(error):
            raise
        log.warning(SEQUENCES_BEHIND, why=first_line(error))


def behind(connection: Connection, *metadatas: MetaData) -> list[Behind]:
    """The tables whose sequence is behind."""
    found = connection.exec_driver_sql(_find_behind(*metadatas))
    return [Behind(name, largest) for name, _, largest in found]


def mend(connection: Connection, *metadatas: MetaData) -> list[Behind]:
    """Advance each sequence that is behind past the largest number. Returns what was behind."""
    return [Behind(*row) for row in connection.exec_driver_sql(_advance_behind(*metadatas))]
