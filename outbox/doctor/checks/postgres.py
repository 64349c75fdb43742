"""Checks of Postgres and of the database itself."""

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, error, ok, warning
from outbox.doctor.servers.role_settings import of_role, statement
from outbox.doctor.setup import Setup
from outbox.doctor.steps import steps
from outbox.postgres.outages import is_unreachable

GROUP = Group.POSTGRES
OLDEST = 15
"""The oldest major version that the tests run on."""

READ_ONLY = "default_transaction_read_only"
COLLATION = """
SELECT quote_ident(datname) AS database, datcollversion AS recorded,
       pg_database_collation_actual_version(oid) AS actual
FROM pg_database WHERE datname = current_database()
"""


@check(GROUP, "Postgres can be reached.", is_gate=True)
def postgres(setup: Setup) -> Found:
    """Connect, and ask something."""
    try:
        row = setup.postgres.row("SELECT current_user AS role, current_database() AS database")
    except Exception as problem:
        if not is_unreachable(problem):
            raise
        line = str(getattr(problem, "orig", problem)).strip().partition("\n")[0]
        return error(
            f"Postgres cannot be reached: {line}",
            "start Postgres, or correct DATABASE_URL",
        )
    return ok(f"connected to {row.database} as {row.role}")


@check(GROUP, f"Postgres is version {OLDEST} or newer.")
def postgres_version(setup: Setup) -> Found:
    """Compare the server's version with the oldest that is tested."""
    version = setup.postgres.row("SELECT current_setting('server_version') AS told").told
    if int(version.split(".")[0]) < OLDEST:
        return error(f"Postgres is version {version}", f"upgrade Postgres to {OLDEST} or newer")
    return ok(f"Postgres {version}")


@check(GROUP, "The database's encoding is UTF8.")
def encoding(setup: Setup) -> Found:
    """Payloads hold any text, which only UTF-8 can store."""
    row = setup.postgres.row(
        "SELECT current_setting('server_encoding') AS told, current_database() AS database,"
        " quote_ident(current_database() || '_utf8') AS new"
    )
    if row.told != "UTF8":
        return error(
            f"the encoding of {row.database} is {row.told}",
            steps(
                f"CREATE DATABASE {row.new} ENCODING 'UTF8' TEMPLATE template0",
                "move the data there, and correct DATABASE_URL",
            ),
        )
    return ok("UTF8")


@check(GROUP, "The database's collation is of the version that its indexes were built with.")
def collation(setup: Setup) -> Found:
    """After an upgrade of the C library, indexes on text may be in another order than it says."""
    row = setup.postgres.row(COLLATION)
    if row.recorded and row.actual and row.recorded != row.actual:
        return warning(
            f"the collation of {row.database} is version {row.actual}, and its indexes were built"
            f" with {row.recorded}: they may miss rows",
            steps(
                f"REINDEX DATABASE {row.database}",
                f"ALTER DATABASE {row.database} REFRESH COLLATION VERSION",
            ),
        )
    return ok(f"version {row.actual}" if row.actual else "the collation has no version")


@check(
    GROUP,
    "Postgres takes writes.",
    docs="docs/operations.md#postgres-is-read-only-or-fails-over",
)
def read_only(setup: Setup) -> Found:
    """A standby, and a role or database whose transactions are read-only, take no job."""
    if setup.postgres.row("SELECT pg_is_in_recovery() AS is_standby").is_standby:
        return error(
            "it is a standby, and takes no writes",
            "give DATABASE_URL all nodes, and target_session_attrs=read-write",
        )
    (row,) = of_role(setup.postgres, READ_ONLY)
    if row.value == "on":
        return error("transactions are read-only by default", statement(row, "off"))
    return ok("Postgres takes writes")
