"""Checks of the workers that send heartbeats."""

from typing import Any

from sqlalchemy import Row

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, Skip, error, ok, warning
from outbox.doctor.servers.live_workers import live_workers
from outbox.doctor.setup import Setup
from outbox.doctor.steps import duly
from outbox.release import release

GROUP = Group.POSTGRES
CODE = """
SELECT name, queues, code ->> 'release' AS release, code -> 'kinds' AS kinds
FROM duly.workers WHERE heartbeat_at > now() - %(silence)s::interval ORDER BY name
"""


@check(GROUP, "Each queue has a live worker.", docs="docs/operations.md#check-the-state")
def workers(setup: Setup) -> Found:
    """Compare the queues of the app's kinds with those that live workers serve."""
    alive = live_workers(setup.postgres, setup.settings.worker_silence)
    served = {queue for each in alive for queue in each.queues}
    if missing := [queue for queue in setup.kinds.queues if queue not in served]:
        return error(
            f"no live worker serves {', '.join(missing)}",
            duly("worker", "--queues", ",".join(missing)),
        )
    return ok(f"{len(alive)} live")


@check(GROUP, "All live workers run this release, and know the same kinds as this process.")
def worker_code(setup: Setup) -> Found:
    """A job of a kind that a worker does not know goes back, and waits for one that does."""
    rows = setup.postgres.rows(CODE, silence=setup.settings.worker_silence)
    if not rows:
        raise Skip("no worker is alive, see workers")
    different = [f"{row.name} {how}" for row in rows if (how := _different(setup, row))]
    if different:
        return warning("; ".join(different), "start these workers again, with this release")
    return ok(f"{len(rows)} run {release()}")


def _different(setup: Setup, row: Row[Any]) -> str | None:
    """How the worker's code differs from ours; None if it does not, as far as it says."""
    if row.release is None:
        return "runs an earlier release"
    if row.release != release():
        return f"runs release {row.release}, and this is {release()}"
    kinds = {name for name, kind in setup.kinds.items() if kind.queue in row.queues}
    if missing := sorted(kinds - {*row.kinds}):
        return f"does not know {', '.join(missing)}"
    if unknown := sorted({*row.kinds} - setup.kinds.keys()):
        return f"knows {', '.join(unknown)}, which this process does not"
    return None
