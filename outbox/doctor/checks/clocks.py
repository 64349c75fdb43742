"""Checks whether the clocks of this machine and of the servers agree."""

import time
from datetime import UTC, datetime

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, error, ok, warning
from outbox.doctor.setup import Setup

TOLERATED, BAD = 2.0, 60.0
"""Seconds."""
CHANGE = "run an NTP client, such as chrony, on both machines"


@check(
    Group.POSTGRES,
    f"The clocks of this machine and of Postgres differ by less than {TOLERATED:g} s.",
)
def clock(setup: Setup) -> Found:
    """Times that an app computes, such as `run_at`, are compared with Postgres's clock."""
    with setup.postgres.connection() as connection:
        before = time.time()
        told: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        after = time.time()
    return compared("Postgres", told.astimezone(UTC).timestamp(), before, after)


def compared(server: str, told: float, before: float, after: float) -> Found:
    """How far the server's clock is from ours, which said `before` and `after` when it told."""
    ahead = max(told - after, 0) or min(told - before, 0)
    if abs(ahead) < TOLERATED:
        return ok(f"the clock of {server} agrees")
    report = error if abs(ahead) >= BAD else warning
    where = "ahead of" if ahead > 0 else "behind"
    return report(
        f"the clock of {server} is {abs(ahead):.0f} s {where} that of this machine", CHANGE
    )
