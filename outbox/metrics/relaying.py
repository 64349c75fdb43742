"""What a relay publishes, and whether it reaches its servers."""

from collections.abc import Mapping

from prometheus_client import Counter

from outbox.events import TickMade, TickSkipped
from outbox.listeners.measures import BatchConfirmed, Blocked, HeldBack, Reached, Redispatched
from outbox.metrics import buckets
from outbox.metrics.registry import Metric, Metrics
from outbox.schedules.missed import MISSED


def measure(metrics: Metrics) -> None:
    """Measure from now on."""
    _messages(metrics)
    _jobs(metrics)
    _ticks(metrics)
    _servers(metrics)


def _messages(metrics: Metrics) -> None:
    published = metrics.counter("duly_published_total", "Messages sent to RabbitMQ.", "queue")
    confirmed = metrics.counter("duly_confirmed_total", "Messages it has confirmed.", "queue")
    returned = metrics.counter("duly_returned_total", "Messages it had no queue for.", "queue")
    seconds = metrics.histogram(
        *("duly_confirm_seconds", "From sending a batch to its last confirm."),
        buckets=buckets.ROUND_TRIP,
    )

    def settled(batch: BatchConfirmed) -> None:
        _add(published, batch.published)
        _add(confirmed, batch.confirmed)
        _add(returned, batch.returned)
        seconds.of().observe(batch.seconds)

    metrics.on(BatchConfirmed, settled)


def _add(counter: Metric[Counter], counts: Mapping[str, int]) -> None:
    for queue, count in counts.items():
        counter.of(queue).inc(count)


def _jobs(metrics: Metrics) -> None:
    again = metrics.counter(
        "duly_redispatches_total", "Jobs published again, as their message was lost.", "queue"
    )
    held = metrics.counter(
        "duly_held_back_total", "How often a due job was found and not admitted.", "queue"
    )
    metrics.on(Redispatched, lambda told: again.of(told.queue).inc(told.jobs))
    metrics.on(HeldBack, lambda told: held.of(told.queue).inc(told.jobs))


def _ticks(metrics: Metrics) -> None:
    ticks = metrics.counter(
        *("duly_ticks_total", "Ticks of schedules.", "outcome"), outcome=("made", "skipped")
    )
    missed = metrics.counter("duly_missed_ticks_total", "Ticks that were skipped as missed.")

    def skipped(event: TickSkipped) -> None:
        ticks.of("skipped").inc()
        if event.why.startswith(MISSED):
            missed.of().inc()

    metrics.on(TickMade, lambda _: ticks.of("made").inc())
    metrics.on(TickSkipped, skipped)


def _servers(metrics: Metrics) -> None:
    up = metrics.gauge("duly_up", "Whether the server can be reached.", "server")
    blocked = metrics.gauge("duly_broker_blocked", "Whether RabbitMQ blocks publishers.")
    metrics.on(Reached, lambda told: up.of(told.server).set(told.is_up))
    metrics.on(Blocked, lambda told: blocked.of().set(told.is_blocked))
