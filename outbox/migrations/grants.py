"""Grants the role of Duly's processes what they need, but no change to the record of acts.

`duly migrate` runs as the role that owns the tables, and grants these rights to another role. With
that other role's password one can add to the record, but not change or remove what is in it.
"""

from collections.abc import Collection

import psycopg
from psycopg import sql

from outbox.postgres.address import conninfo
from outbox.store.schema import SCHEMA, acts, metadata

LOCK_ID = 0x64756C7A
"""An advisory lock: concurrent GRANTs on the same table fail."""
WRITABLE_COLUMNS = ("who", "why", "act", "about")
"""The columns of an act that the writer sets. Postgres sets its time and its number."""
CAN_ACT_AS_OWNER = """
SELECT rolsuper OR pg_has_role(rolname, relowner, 'MEMBER')
FROM pg_roles, pg_class
WHERE rolname = %s AND pg_class.oid = %s::regclass
"""


class UnfitRole(Exception):
    """The role does not exist, or could change the record of acts without any grant."""


def grant(database_url: str, role: str, app_tables: Collection[str] = ()) -> None:
    """Grant the role its rights, in one transaction. Safe to repeat, and to run concurrently.

    They include reading and writing `app_tables`, which are named with their schema.

    Raises UnfitRole; and psycopg.Error, for example if the caller does not own the tables.
    """
    with psycopg.connect(conninfo(database_url)) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_ID])
        _check(connection, role)
        for right in _rights(app_tables):
            connection.execute(right.format(role=sql.Identifier(role)))


def _check(connection: psycopg.Connection, role: str) -> None:
    found = connection.execute(CAN_ACT_AS_OWNER, [role, str(acts)]).fetchone()
    if found is None:
        raise UnfitRole(f"there is no role {role}: run CREATE ROLE ... LOGIN PASSWORD ...")
    if found[0]:
        raise UnfitRole(
            f"{role} is a superuser or may act as the owner of the tables, so it could change the"
            " record of acts: use a separate role for the processes"
        )


def _rights(app_tables: Collection[str]) -> list[sql.SQL]:
    tables = ", ".join([*metadata.tables.keys() - {str(acts)}, *app_tables])
    rights = (
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {{role}}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {{role}}",
        f"REVOKE ALL ON {acts} FROM {{role}}",
        f"GRANT SELECT, INSERT ({', '.join(WRITABLE_COLUMNS)}) ON {acts} TO {{role}}",
        # UPDATE, to advance a sequence that is behind its rows: see outbox/store/sequences.py.
        f"GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO {{role}}",
    )
    return [sql.SQL(right) for right in rights]
