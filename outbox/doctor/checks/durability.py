"""Checks of what a commit means on this Postgres: after a crash, and after a failover."""

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, Skip, error, ok, warning
from outbox.doctor.servers.role_settings import of_role, statement
from outbox.doctor.setup import Setup

GROUP = Group.POSTGRES
PAGE = "docs/operations.md#postgres-waits-for-its-standby"
COMMIT = "synchronous_commit"
RELOAD = "SELECT pg_reload_conf()"
WAITS_FOR_NONE = ("off", "local")
"""Values of synchronous_commit with which a COMMIT waits for no standby."""

# What the role may not see of a standby is null.
STANDBYS = """
SELECT current_setting('synchronous_standby_names') AS names,
       count(*) AS standbys,
       count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) AS confirming,
       count(*) FILTER (WHERE sync_state IS NULL) AS hidden, quote_ident(current_user) AS role
FROM pg_stat_replication
"""


@check(GROUP, "A commit is on disk: fsync, full_page_writes and synchronous_commit are on.")
def durability(setup: Setup) -> Found:
    """Without these a crash loses commits, or the database."""
    values = {row.name: row for row in of_role(setup.postgres, "fsync", "full_page_writes", COMMIT)}
    if values["fsync"].value == "off":
        return error(
            "fsync is off: a crash of the machine can destroy the database",
            f"ALTER SYSTEM SET fsync = on; {RELOAD}",
        )
    if values[COMMIT].value == "off":
        return error(
            "synchronous_commit is off: a crash loses jobs that were accepted just before",
            statement(values[COMMIT], "on"),
        )
    if values["full_page_writes"].value == "off":
        return warning(
            "full_page_writes is off: a crash of the machine can destroy pages, unless the file"
            " system writes them whole",
            f"ALTER SYSTEM SET full_page_writes = on; {RELOAD}",
        )
    return ok("a commit is on disk")


@check(GROUP, "If replication is synchronous, a standby confirms commits.", docs=PAGE)
def replication(setup: Setup) -> Found:
    """Says too what a failover may lose."""
    row = setup.postgres.row(STANDBYS)
    (commit,) = of_role(setup.postgres, COMMIT)
    if not row.names:
        return ok(
            f"it is not synchronous ({row.standbys} standbys): a failover may lose the last commits"
        )
    if commit.value in WAITS_FOR_NONE:
        return warning(
            f"synchronous_standby_names is set, but commits of the role wait for no standby:"
            f" synchronous_commit is {commit.value}",
            statement(commit, "on"),
        )
    if not row.confirming and row.hidden:
        raise Skip(
            f"the role may not see whether a standby confirms commits:"
            f" GRANT pg_read_all_stats TO {row.role}"
        )
    if not row.confirming:
        return error(
            f"each COMMIT waits: no standby of synchronous_standby_names ({row.names}) is here",
            "start the standby",
        )
    return ok(f"it is synchronous: {row.names} has each commit before it is answered")
