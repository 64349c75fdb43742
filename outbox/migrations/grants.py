"""What the role of Duly's processes may do: all that they need, but not change the record of acts.

`duly migrate` runs as the role that owns the tables, and gives these rights to another. Whoever has
the password of that other role can add to the record, and can neither change nor remove what is
there.
"""

from collections.abc import Collection

import psycopg
from psycopg import sql

from outbox.postgres.address import conninfo
from outbox.store.schema import SCHEMA, acts, metadata

TURN = 0x64756C7A
"""An advisory lock: Postgres refuses two who grant rights on the same table at once."""
GIVEN = ("who", "why", "act", "about")
"""The columns of an act that are the writer's to say; its time and number are Postgres's."""
LIKE_AN_OWNER = """
SELECT rolsuper OR pg_has_role(rolname, relowner, 'MEMBER')
FROM pg_roles, pg_class
WHERE rolname = %s AND pg_class.oid = %s::regclass
"""


class UnfitRole(Exception):
    """The role is not there, or could change the record of acts whatever is granted to it."""


def grant(database_url: str, role: str, app_tables: Collection[str] = ()) -> None:
    """Give the role its rights, in one transaction. May be repeated, and by several at once.

    It may read and write `app_tables` too, whose names say their schema.

    Raises UnfitRole; and psycopg's errors, such as for whoever does not own the tables.
    """
    with psycopg.connect(conninfo(database_url)) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])
        _check(connection, role)
        for right in _rights(app_tables):
            connection.execute(right.format(role=sql.Identifier(role)))


def _check(connection: psycopg.Connection, role: str) -> None:
    found = connection.execute(LIKE_AN_OWNER, [role, str(acts)]).fetchone()
    if found is None:
        raise UnfitRole(f"there is no role {role}: make it with CREATE ROLE ... LOGIN PASSWORD ...")
    if found[0]:
        raise UnfitRole(
            f"{role} is a superuser or may act as the owner of the tables, and could change the"
            " record of acts: name a role of its own for the processes"
        )


def _rights(app_tables: Collection[str]) -> list[sql.SQL]:
    tables = ", ".join([*metadata.tables.keys() - {str(acts)}, *app_tables])
    rights = (
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {{role}}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {{role}}",
        f"REVOKE ALL ON {acts} FROM {{role}}",
        f"GRANT SELECT, INSERT ({', '.join(GIVEN)}) ON {acts} TO {{role}}",
        # To move one that is behind its rows, see outbox/store/sequences.py.
        f"GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO {{role}}",
    )
    return [sql.SQL(right) for right in rights]
