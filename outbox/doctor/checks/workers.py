"""Checks of the workers that send heartbeats."""

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, error, ok, warning
from outbox.doctor.servers.live_workers import live_workers
from outbox.doctor.setup import Setup

GROUP = Group.POSTGRES


@check(GROUP, "Each queue has a live worker.", docs="docs/operations.md#check-the-state")
def workers(setup: Setup) -> Found:
    """Compare the queues of the app's kinds with those that live workers serve."""
    alive = live_workers(setup.postgres, setup.settings.worker_silence)
    served = {queue for each in alive for queue in each.queues}
    if missing := [queue for queue in setup.kinds.queues if queue not in served]:
        return error(
            f"no live worker serves {', '.join(missing)}",
            f"duly worker --queues {','.join(missing)}",
        )
    return ok(f"{len(alive)} live")


@check(GROUP, "The relay's window is no smaller than what the workers of a queue run at once.")
def window(setup: Setup) -> Found:
    """A window is the most messages of a queue that workers can have."""
    slots: dict[str, int] = {}
    for each in live_workers(setup.postgres, setup.settings.worker_silence):
        for queue in each.queues:
            slots[queue] = slots.get(queue, 0) + each.threads + each.tasks
    most = max(slots.values(), default=0)
    if most > setup.settings.window:
        queue = max(slots, key=lambda name: slots[name])
        return warning(
            f"DULY_WINDOW is {setup.settings.window}, and the workers of {queue} could run {most}"
            " jobs at once",
            f"DULY_WINDOW={2 * most} for the relays, or fewer --threads and --tasks",
        )
    return ok(f"DULY_WINDOW is {setup.settings.window}, and workers could run {most} at once")
