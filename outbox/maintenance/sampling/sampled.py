"""A sample, as it is told to whoever listens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from outbox.listeners.measures import Measure
from outbox.maintenance.sampling.totals import Totals
from outbox.operations.backlog.queue_status import QueueStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled(Measure):
    """Relay: what there is in Postgres now. Nothing of it changes afterwards."""

    queues: Sequence[QueueStatus]
    totals: Totals
    broken: Mapping[str, int]
    """How many jobs break each promise: see `PromiseMeter`."""
