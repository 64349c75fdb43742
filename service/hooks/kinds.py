"""The jobs of webhooks in. Those that events become are of other subjects: see jobs_of_events."""

from datetime import timedelta

from outbox import Kind, Retry
from service.payload import Payload


class PruneHookEvents(Payload):
    """Delete the events that are older than `Settings.keep_hook_events`."""


PRUNE_HOOK_EVENTS = Kind(
    "hooks.prune",
    PruneHookEvents,
    queue="upkeep",
    time_limit=timedelta(minutes=30),
    retry=Retry(attempts=5),
    owner="integrations",
    idempotency="what is deleted stays deleted",
)
