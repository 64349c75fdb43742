"""Checks whether Postgres has room for the connections of Duly's processes."""

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, ok, warning
from outbox.doctor.servers.live_workers import live_workers
from outbox.doctor.setup import Setup
from outbox.doctor.steps import steps

FEWEST_FREE = 5
WHO = "the live workers, an api and a relay"
OF_WORKER = 2
"""Connections of a worker besides those of its actors: claims with outcomes, and its heartbeat."""
OF_TASKS = 10
"""How many `async def` actors of a worker have a session at once."""
OF_API = 10 + 1
"""Those that requests share, and one that wakes relays."""
OF_RELAY = 17
"""One for each of its duties, but three to publish jobs and two to send messages to others."""

LIMITS = """
SELECT 'max_connections' AS name,
       current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true)::int, 0) AS most,
       (SELECT sum(numbackends)::int FROM pg_stat_database) AS used,
       format('ALTER SYSTEM SET max_connections = %%s; restart Postgres',
              2 * greatest(current_setting('max_connections')::int, %(needed)s)) AS change
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
    """Compare each limit with what is used, and with what live workers can come to use.

    An actor at work is counted with one session: few open a second one beside it.
    """
    needed = 0 if setup.postgres.is_pooled() else _needed(setup)
    rows = setup.postgres.rows(LIMITS, needed=needed)
    for row in rows:
        if row.most - row.used < FEWEST_FREE:
            return warning(f"{row.used} of {row.name} ({row.most}) are in use", row.change)
        if row.most < needed:
            return warning(
                f"{WHO} may need {needed} connections, and {row.name} leaves {row.most}",
                steps(row.change, "or fewer --threads, or a pooler"),
            )
    least = min(rows, key=lambda row: row.most)
    used = f"{least.used} of {least.most} are in use"
    return ok(f"{used}, and {WHO} may need {needed}" if needed else used)


def _needed(setup: Setup) -> int:
    workers = live_workers(setup.postgres, setup.settings.worker_silence)
    own = sum(each.threads + min(each.tasks, OF_TASKS) + OF_WORKER for each in workers)
    return own + OF_API + OF_RELAY if workers else 0
