"""Checks of the sessions that the role gets: a pooler, and the settings that they begin with."""

from typing import Any, NamedTuple

from sqlalchemy import Row

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, Level, error, ok, warning
from outbox.doctor.servers.postgres import Postgres
from outbox.doctor.servers.role_settings import of_role, statement
from outbox.doctor.setup import Setup

GROUP = Group.POSTGRES
ISOLATION = "default_transaction_isolation"


class Least(NamedTuple):
    """The least values of a timeout, in milliseconds, that do and do no harm."""

    error: int
    warning: int
    ends: str
    """What it ends."""


TIMEOUTS = {
    "statement_timeout": Least(2_000, 30_000, "statements over large batches"),
    "transaction_timeout": Least(30_000, 600_000, "relays' batches and actors' transactions"),
    "lock_timeout": Least(100, 1_000, "claims and outcomes that wait for a lock"),
    "idle_in_transaction_session_timeout": Least(
        5_000, 60_000, "relays' batches that wait for RabbitMQ, and actors' transactions"
    ),
    "idle_session_timeout": Least(2_000, 60_000, "relays' and pools' connections between jobs"),
}
"""0 switches a timeout off. The api has timeouts of its own."""


@check(
    GROUP,
    "Relays reach Postgres past a pooler, if there is one.",
    docs="docs/operations.md#behind-pgbouncer",
)
def pooler(setup: Setup) -> Found:
    """No NOTIFY passes through a pooler in transaction mode."""
    listen = setup.settings.listen_url
    if listen is not None and Postgres(listen).is_pooled():
        return warning(
            "DULY_LISTEN_URL leads through a pooler, so relays are not told of new jobs",
            "set DULY_LISTEN_URL to Postgres itself",
        )
    if not setup.postgres.is_pooled():
        return ok("DATABASE_URL leads to Postgres itself")
    if listen is None:
        return warning(
            "DATABASE_URL leads through a pooler, so relays look for new jobs only twice a second",
            "set DULY_LISTEN_URL of the relays to Postgres itself",
        )
    return ok("DATABASE_URL leads through a pooler, and DULY_LISTEN_URL past it")


@check(GROUP, "The role's transactions are READ COMMITTED by default.")
def isolation(setup: Setup) -> Found:
    """Duly's own sessions ask for it; sessions of the app, in which jobs are submitted, may not."""
    (row,) = of_role(setup.postgres, ISOLATION)
    if row.value != "read committed":
        return warning(
            f"{ISOLATION} is {row.value}: Duly's own sessions change that, but transactions of the"
            " app that submit jobs are refused more often",
            statement(row, "'read committed'"),
        )
    return ok("read committed")


@check(GROUP, "No timeout of the role ends what Duly does.")
def timeouts(setup: Setup) -> Found:
    """Compare each with what Duly's longest statements and transactions take."""
    bad = [found for row in of_role(setup.postgres, *TIMEOUTS) if (found := _short(row))]
    if not bad:
        return ok("none is too short")
    worst = Level.ERROR if any(each.level is Level.ERROR for each in bad) else Level.WARNING
    changes = "; ".join(each.change or "" for each in bad)
    return Found(worst, "; ".join(each.found for each in bad), changes)


def _short(row: Row[Any]) -> Found | None:
    value, least = int(row.value), TIMEOUTS[row.name]
    if value == 0 or value >= least.warning:
        return None
    report = error if value < least.error else warning
    change = statement(row, f"'{least.warning // 1000}s'")
    return report(f"{row.name} is {value} ms, and ends {least.ends}", change)
