"""Checks whether Postgres has room for the connections of Duly's processes."""

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, ok, warning
from outbox.doctor.servers.live_workers import live_workers
from outbox.doctor.setup import Setup

FEWEST_FREE = 5
OF_A_WORKER = 4
"""Connections of a worker besides those of its actors: claims, outcomes, heartbeat, wake-ups."""
OF_TASKS = 10
"""How many `async def` actors of a worker have a session at once."""
OF_API_AND_RELAY = 10 + 12
"""One of each."""

LIMITS = """
SELECT 'max_connections' AS name,
       current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true)::int, 0) AS most,
       (SELECT sum(numbackends)::int FROM pg_stat_database) AS used,
       'ALTER SYSTEM SET max_connections = ...; then restart Postgres' AS change
UNION ALL
SELECT 'the limit of the role', rolconnlimit,
       (SELECT count(*)::int FROM pg_stat_activity WHERE usesysid = pg_roles.oid),
       format('ALTER ROLE %%I CONNECTION LIMIT -1', rolname)
FROM pg_roles WHERE rolname = current_user AND rolconnlimit >= 0
UNION ALL
SELECT 'the limit of the database', datconnlimit,
       (SELECT numbackends FROM pg_stat_database WHERE datid = pg_database.oid),
       format('ALTER DATABASE %%I CONNECTION LIMIT -1', datname)
FROM pg_database WHERE datname = current_database() AND datconnlimit >= 0
"""


@check(Group.POSTGRES, "Postgres has room for the connections of all processes.")
def connections(setup: Setup) -> Found:
    """Compare each limit with what is used, and with what live workers can come to use."""
    rows = setup.postgres.rows(LIMITS)
    needed = 0 if setup.postgres.is_pooled() else _needed(setup)
    for row in rows:
        if row.most - row.used < FEWEST_FREE:
            return warning(f"{row.used} of {row.name} ({row.most}) are in use", row.change)
        if row.most < needed:
            return warning(
                f"the live workers, an api and a relay may need {needed} connections, and"
                f" {row.name} leaves {row.most}",
                f"{row.change}, or fewer --threads, or a pooler",
            )
    least = min(rows, key=lambda row: row.most)
    return ok(f"{least.used} of {least.most} are in use, and workers may need {needed}")


def _needed(setup: Setup) -> int:
    workers = live_workers(setup.postgres, setup.settings.worker_silence)
    own = sum(each.threads + min(each.tasks, OF_TASKS) + OF_A_WORKER for each in workers)
    return own + OF_API_AND_RELAY if workers else 0
