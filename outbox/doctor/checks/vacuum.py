"""Checks of what keeps Postgres from removing dead rows, of which jobs leave many."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, Skip, ok, warning
from outbox.doctor.setup import Setup
from outbox.store.schema import SCHEMA

GROUP = Group.POSTGRES
LONG = timedelta(hours=1)
"""Transactions that are open for longer are told; actors may have long ones."""

AUTOVACUUM = """
SELECT current_setting('autovacuum') AS autovacuum, current_setting('track_counts') AS counts,
       (SELECT array_agg(format('%%I.%%I', nspname, relname) ORDER BY relname)
        FROM pg_class JOIN pg_namespace AS space ON space.oid = relnamespace
        WHERE nspname = %(schema)s AND EXISTS (
            SELECT FROM pg_options_to_table(reloptions)
            WHERE option_name = 'autovacuum_enabled' AND NOT option_value::boolean)) AS tables
"""
OPEN = """
SELECT format('%%s of %%s (%%s), for %%s s', pid, usename, coalesce(nullif(application_name, ''),
              'no application_name'), extract(epoch FROM now() - xact_start)::int) AS what,
       format('SELECT pg_terminate_backend(%%s)', pid) AS change
FROM pg_stat_activity
WHERE datname = current_database() AND xact_start <= now() - %(long)s::interval
  AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND pid <> pg_backend_pid()
ORDER BY xact_start
"""
# How old it is, only members of pg_read_all_stats see of other roles' transactions.
HIDDEN = """
SELECT count(*)::int AS transactions, quote_ident(current_user) AS role FROM pg_stat_activity
WHERE datname = current_database() AND usesysid IS NOT NULL AND state IS NULL
  AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
"""
PREPARED = """
SELECT format('%%L of %%s, for %%s s', gid, owner, extract(epoch FROM now() - prepared)::int)
           AS what,
       format('ROLLBACK PREPARED %%L', gid) AS change
FROM pg_prepared_xacts
WHERE database = current_database() AND prepared <= now() - %(long)s::interval
ORDER BY prepared
"""
SLOTS = """
SELECT slot_name || CASE WHEN restart_lsn IS NULL THEN ''
           ELSE format(', which keeps %%s of WAL',
                       pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)))
       END AS what,
       format('SELECT pg_drop_replication_slot(%%L)', slot_name) AS change
FROM pg_replication_slots WHERE NOT active AND NOT temporary ORDER BY slot_name
"""


@check(GROUP, "Autovacuum is on, for Duly's tables too.")
def autovacuum(setup: Setup) -> Found:
    """Without it the tables grow, and each look for due jobs reads more dead rows."""
    row = setup.postgres.row(AUTOVACUUM, schema=SCHEMA)
    for name, value in (("autovacuum", row.autovacuum), ("track_counts", row.counts)):
        if value == "off":
            return warning(
                f"{name} is off, so dead rows stay, and jobs get slower and slower",
                f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf()",
            )
    if row.tables:
        resets = [f"ALTER TABLE {each} RESET (autovacuum_enabled)" for each in row.tables]
        return warning(f"it is off for {', '.join(row.tables)}", "; ".join(resets))
    return ok("autovacuum is on")


@check(GROUP, "No transaction has been open for hours.")
def open_transactions(setup: Setup) -> Found:
    """Rows that died since it began cannot be removed."""
    rows = setup.postgres.rows(OPEN, long=LONG)
    hidden = setup.postgres.row(HIDDEN)
    if hidden.transactions and not rows:
        raise Skip(
            f"the role may not see how old {hidden.transactions} transactions of others are:"
            f" GRANT pg_read_all_stats TO {hidden.role}"
        )
    return _keeping(rows, "transactions keep dead rows", "no transaction is old")


@check(GROUP, "No prepared transaction has been left behind.")
def prepared_transactions(setup: Setup) -> Found:
    """It is open until somebody ends it, and outlives crashes. Duly prepares none."""
    rows = setup.postgres.rows(PREPARED, long=LONG)
    return _keeping(rows, "prepared transactions keep dead rows", "none is left")


@check(GROUP, "No replication slot is without its consumer.")
def replication_slots(setup: Setup) -> Found:
    """Postgres keeps all WAL that the consumer has not had, until its disk is full."""
    return _keeping(
        setup.postgres.rows(SLOTS), "slots that nobody reads keep WAL", "none is unread"
    )


def _keeping(rows: Sequence[Row[Any]], what: str, none: str) -> Found:
    if not rows:
        return ok(none)
    names = "; ".join(row.what for row in rows)
    return warning(f"{what}: {names}", "; ".join(row.change for row in rows))
