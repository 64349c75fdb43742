"""Checks of Duly's tables: their version, the role's rights on them, and their sequences."""

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, Skip, error, ok, warning
from outbox.doctor.setup import Setup
from outbox.doctor.steps import duly, steps
from outbox.migrations.grants import WRITABLE_COLUMNS
from outbox.migrations.versions import LATEST, installed
from outbox.store.schema import SCHEMA, acts, metadata
from outbox.store.sequences import behind

GROUP = Group.POSTGRES
TABLE_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
MOST_NAMED = 5

# By their names in the catalog: to name a table itself takes the right to use its schema.
MISSING_RIGHTS = """
WITH class AS (
    SELECT class.oid, relkind, nspname || '.' || relname AS name, nspname AS schema
    FROM pg_class AS class JOIN pg_namespace AS space ON space.oid = relnamespace
)
SELECT 'USAGE on schema ' || nspname AS missing FROM pg_namespace
WHERE nspname = %(schema)s AND NOT has_schema_privilege(oid, 'USAGE')
UNION ALL
SELECT needed || ' on ' || name FROM class, unnest(%(rights)s::text[]) AS needed
WHERE name = ANY (%(tables)s) AND NOT has_table_privilege(oid, needed)
UNION ALL
SELECT needed || ' on ' || name FROM class, unnest('{SELECT,UPDATE,USAGE}'::text[]) AS needed
WHERE relkind = 'S' AND schema = %(schema)s AND NOT has_sequence_privilege(oid, needed)
UNION ALL
SELECT 'SELECT on ' || name FROM class
WHERE name = %(acts)s AND NOT has_table_privilege(oid, 'SELECT')
UNION ALL
SELECT 'INSERT (' || attname || ') on ' || name
FROM class JOIN pg_attribute ON attrelid = class.oid AND attname = ANY (%(columns)s)
WHERE name = %(acts)s AND NOT has_column_privilege(class.oid, attnum, 'INSERT')
ORDER BY 1
"""
ABSENT = """
SELECT array_agg(name ORDER BY name) AS names FROM unnest(%(tables)s::text[]) AS name
WHERE NOT EXISTS (
    SELECT FROM pg_class JOIN pg_namespace AS space ON space.oid = relnamespace
    WHERE nspname || '.' || relname = name)
"""
OWNER = """
SELECT rolname AS role, rolsuper OR pg_has_role(rolname, relowner, 'MEMBER') AS is_owner
FROM pg_roles, pg_class JOIN pg_namespace AS space ON space.oid = relnamespace
WHERE rolname = current_user AND nspname = %(schema)s AND relname = %(table)s
"""


@check(GROUP, "Duly's tables are of the version that this release needs.")
def migrations(setup: Setup) -> Found:
    """Compare their version with the newest that this release has."""
    with setup.postgres.connection() as connection:
        found = installed(connection)
    if found < LATEST:
        return error(
            f"the database has version {found} of Duly's tables and this release needs {LATEST}",
            duly("migrate"),
        )
    if found > LATEST:
        return warning(
            f"the database has version {found} of Duly's tables, and this release knows {LATEST}",
            "start the newer release in all processes",
        )
    return ok(f"version {found}")


@check(GROUP, "The role has the rights that Duly's processes need.")
def rights(setup: Setup) -> Found:
    """On Duly's schema, tables and sequences, and on the app's tables."""
    role = setup.postgres.row("SELECT current_user AS role").role
    missing = [each.missing for each in setup.postgres.rows(MISSING_RIGHTS, **_needed(setup))]
    if not missing and (absent := setup.postgres.row(ABSENT, **_needed(setup)).names):
        raise Skip(f"tables are missing, see migrations: {_few(absent)}")
    if missing:
        return error(
            f"the role {role} lacks {_few(missing)}",
            f"as the owner of the tables: {duly('migrate', '--grant-to', role)}",
        )
    return ok(f"the role {role} has them")


@check(
    GROUP,
    "The role owns no table of Duly's, and so cannot change the record of acts.",
    docs="docs/security.md#who-did-what",
)
def record_of_acts(setup: Setup) -> Found:
    """Whoever has an owner's password could remove what is in the record."""
    name = {"schema": SCHEMA, "table": acts.name}
    rows = setup.postgres.rows(OWNER, **name)
    if not rows:
        raise Skip("tables are missing, see migrations")
    if rows[0].is_owner:
        return warning(
            f"the role {rows[0].role} may change the record of acts: it owns it, or is a superuser",
            steps(
                "CREATE ROLE duly_app LOGIN",
                "in psql: \\password duly_app",
                duly("migrate", "--grant-to", "duly_app"),
                "set DATABASE_URL of the processes to that role",
            ),
        )
    return ok("the role cannot change it")


@check(GROUP, "Each sequence is past the numbers of its rows.")
def sequences(setup: Setup) -> Found:
    """Logical replication, or an import, copies rows but not the state of sequences."""
    with setup.postgres.connection() as connection:
        late = behind(connection, metadata, setup.tables)
    if late:
        names = [f"{each.table} (at {each.largest})" for each in late]
        return error(f"numbers are behind their rows: {_few(names)}", duly("migrate"))
    return ok("no sequence is behind its rows")


def _needed(setup: Setup) -> dict[str, object]:
    own = (each if "." in each else f"public.{each}" for each in setup.tables.tables)
    return {
        "schema": SCHEMA,
        "rights": [*TABLE_RIGHTS],
        "tables": [*metadata.tables.keys() - {str(acts)}, *own],
        "acts": str(acts),
        "columns": [*WRITABLE_COLUMNS],
    }


def _few(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f", and {more} more" if more > 0 else "")
