"""Counts what is submitted in this process, whatever process it is."""

from outbox.events import Submitted
from outbox.metrics.registry import Metrics


def count(metrics: Metrics) -> None:
    """Count from now on."""
    submitted = metrics.counter("duly_submitted_total", "Jobs submitted.", "kind")
    metrics.on(Submitted, lambda event: submitted.of(event.kind).inc())
