"""Checks whether the app's own migrations have run."""

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, Skip, error, ok, warning
from outbox.doctor.setup import Setup
from outbox.doctor.steps import duly

# An app's env.py may keep it in any schema.
RECORDS = """
SELECT format('%%I.%%I', nspname, relname) AS name, current_user AS role,
       has_schema_privilege(space.oid, 'USAGE') AND has_table_privilege(class.oid, 'SELECT') AS may
FROM pg_class AS class JOIN pg_namespace AS space ON space.oid = relnamespace
WHERE relname = 'alembic_version' AND relkind = 'r'
"""


@check(Group.POSTGRES, "The app's Alembic migrations have all run.")
def app_migrations(setup: Setup) -> Found:
    """Compare the revision in the database with the newest in the app's folder."""
    heads, known = _revisions(setup)
    recorded = _recorded(setup)
    if unknown := recorded - known:
        return warning(
            f"the database has revision {', '.join(sorted(unknown))}, which this release lacks",
            "start the newer release in all processes",
        )
    if recorded != heads:
        return error(
            f"the database has revision {', '.join(sorted(recorded)) or 'none'}, and this release"
            f" needs {', '.join(sorted(heads))}",
            duly("migrate"),
        )
    return ok(f"revision {', '.join(sorted(heads))}")


def _revisions(setup: Setup) -> tuple[set[str], set[str]]:
    """The newest of the app's revisions, and all. Raises Skip if it has none that can be read."""
    folder = setup.migrations()
    if folder is None:
        raise Skip("the app names no Alembic migrations")
    try:
        from alembic.script import ScriptDirectory
    except ImportError:
        raise Skip("Alembic is not installed for this process") from None
    scripts = ScriptDirectory(str(folder))
    return {*scripts.get_heads()}, {each.revision for each in scripts.walk_revisions()}


def _recorded(setup: Setup) -> set[str]:
    """The revisions that the database has. Raises Skip if the role may not know."""
    found: set[str] = set()
    for table in setup.postgres.rows(RECORDS):
        if not table.may:
            raise Skip(f"the role may not look: GRANT SELECT ON {table.name} TO {table.role}")
        rows = setup.postgres.rows(f"SELECT version_num FROM {table.name}")  # noqa: S608 - quoted
        found |= {row.version_num for row in rows}
    return found
