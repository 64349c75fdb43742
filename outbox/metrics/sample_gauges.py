"""The gauges that are computed from a sample of Postgres."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import add, attrgetter

from outbox.maintenance.sampling.sampled import Sampled
from outbox.operations.backlog.queue_status import QueueStatus

Series = tuple[tuple[str, ...], float]
"""The values of the labels, and that of the gauge."""
STATES = ("due", "held", "scheduled", "published", "running")
PRIORITIES = ("high", "normal", "low")


@dataclass(frozen=True, slots=True)
class SampleGauge:
    """A gauge, and its series in a sample."""

    name: str
    about: str
    labels: tuple[str, ...]
    series: Callable[[Sampled], Iterable[Series]]
    merged: Callable[[float, float], float] = max
    """What is shown for two queues that are both `other`."""


def _jobs(sample: Sampled) -> Iterator[Series]:
    for queue in sample.queues:
        for state in STATES:
            for priority in PRIORITIES:
                labels = (queue.queue, priority, state)
                yield labels, attrgetter(f"{state}.{priority}")(queue)


def _of_queue(
    name: str,
    about: str,
    value: Callable[[QueueStatus], float | None],
    merged: Callable[[float, float], float] = add,
) -> SampleGauge:
    """A gauge with a series for each queue; None is shown as 0."""

    def series(sample: Sampled) -> Iterator[Series]:
        for queue in sample.queues:
            yield (queue.queue,), value(queue) or 0

    return SampleGauge(name, about, ("queue",), series, merged)


def _total(name: str, about: str, value: Callable[[Sampled], float]) -> SampleGauge:
    return SampleGauge(name, about, (), lambda sample: [((), value(sample))])


GAUGES = (
    SampleGauge(
        *("duly_jobs", "Jobs that have not ended.", ("queue", "priority", "state")), _jobs, add
    ),
    _of_queue(
        "duly_jobs_estimated", "Whether counts are estimates.", lambda of: bool(of.estimated), max
    ),
    _of_queue("duly_work", "What workers could do now.", lambda of: of.work),
    _of_queue("duly_held_jobs", "Due jobs that wait for their keys.", lambda of: of.held.total),
    _of_queue("duly_overdue_jobs", "Overdue jobs.", lambda of: of.overdue),
    _of_queue(
        "duly_oldest_due_seconds",
        "For how long the oldest due job waits for a relay.",
        lambda of: of.unpublished_seconds,
        max,
    ),
    _of_queue(
        *("duly_oldest_queued_seconds", "For how long the oldest queued job is due."),
        *(lambda of: of.oldest_queued_seconds, max),
    ),
    _of_queue("duly_dead_letters", "Open dead letters.", lambda of: of.dead),
    _of_queue("duly_workers", "Live workers that serve the queue.", lambda of: of.workers, max),
    _of_queue("duly_paused", "Whether somebody paused it.", lambda of: of.paused is not None, max),
    _total(
        *("duly_oldest_unseen_letter_seconds", "Age of the oldest letter nobody has looked at."),
        lambda sample: sample.totals.unseen_seconds,
    ),
    _total(
        *("duly_schedule_lag_seconds", "How late the tick is that is most overdue."),
        lambda sample: sample.totals.schedule_lag_seconds,
    ),
    _total(
        *("duly_oldest_message_seconds", "Age of the oldest unsent message to another service."),
        lambda sample: sample.totals.message_seconds,
    ),
    _total(
        *("duly_open_batches", "Batches that have not settled."),
        lambda sample: sample.totals.open_batches,
    ),
    SampleGauge(
        *("duly_closed_letters", "Closed dead letters.", ("age",)),
        lambda sample: (((age,), count) for age, count in sample.totals.closed_letters.items()),
    ),
    SampleGauge(
        *("duly_promise_broken", "Jobs that nothing will move any more.", ("promise",)),
        lambda sample: (((promise,), count) for promise, count in sample.broken.items()),
    ),
)
