"""Checks the relay's window against what the live workers run at once."""

from collections import Counter

from outbox.actors import Actors
from outbox.doctor.check import Group, check
from outbox.doctor.checks.app import IMPORT_SECONDS
from outbox.doctor.found import Found, Skip, ok, warning
from outbox.doctor.servers.live_workers import live_workers
from outbox.doctor.setup import Setup
from outbox.operations.status import WorkerStatus


@check(
    Group.POSTGRES,
    "The relay's window is no smaller than what the workers of a queue run at once.",
    seconds=IMPORT_SECONDS,
)
def window(setup: Setup) -> Found:
    """A window is the most messages of a queue that workers can have."""
    actors, slots = _actors(setup), Counter[str]()
    alive = live_workers(setup.postgres, setup.settings.worker_silence)
    if not alive:
        raise Skip("no worker is alive, see workers")
    for worker in alive:
        slots.update(_most_at_once(worker, actors))
    queue, most = max(slots.items(), key=lambda each: each[1], default=("", 0))
    if most > setup.settings.window:
        return warning(
            f"DULY_WINDOW is {setup.settings.window}, and the workers of {queue} could run {most}"
            " jobs at once",
            f"DULY_WINDOW={2 * most} for the relays, or fewer --threads and --tasks",
        )
    return ok(f"DULY_WINDOW is {setup.settings.window}, and workers could run {most} at once")


def _actors(setup: Setup) -> Actors:
    """They tell which queues have jobs for threads, and which for tasks."""
    if setup.actors is None:
        raise Skip("this process does not import the actors: run `duly doctor`")
    try:
        return setup.actors()
    except Exception:  # noqa: BLE001 - the check of the actors tells which
        raise Skip("the actors cannot be imported, see actors") from None


def _most_at_once(worker: WorkerStatus, actors: Actors) -> Counter[str]:
    """How many jobs of each queue it can run, if its actors are ours.

    It keeps a thread for each queue with a `def` actor, and a task for each with an `async def`
    one. All others are for any of these queues.
    """
    most = Counter[str]()
    for is_async, count in ((False, worker.threads), (True, worker.tasks)):
        own = {each.kind.queue for each in actors.values() if each.is_async is is_async}
        served = own.intersection(worker.queues)
        most.update(dict.fromkeys(served, count - len(served) + 1))
    return most
