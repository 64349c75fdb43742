"""Counts attempts by how they ended: in a worker those that it makes, in a relay crashed ones."""

from collections.abc import Sequence
from typing import Literal

from outbox.events import (
    Cancelled,
    Died,
    Failed,
    Postponed,
    Rescued,
    Retried,
    Snoozed,
    Succeeded,
    Superseded,
)
from outbox.metrics.registry import Metrics
from outbox.operations.dead_letters import Reason

CRASHED: Literal["crashed"] = "crashed"
OUTCOMES = (
    *("succeeded", "failed", "timed_out", "uncertain"),
    *("snoozed", "postponed", "cancelled", "superseded"),
)
"""How an attempt may end in its worker."""
REASONS: Sequence[Reason] = "exhausted", "refused", "uncertain", "invalid_payload", "unknown_kind"
"""Why a worker may make a job dead."""


class Attempts:
    """What became of attempts. No attempt is counted twice."""

    def __init__(
        self, metrics: Metrics, outcomes: Sequence[str], reasons: Sequence[Reason]
    ) -> None:
        """`outcomes` and `reasons` are those that there may be in this process."""
        self._attempts = metrics.counter(
            *("duly_attempts_total", "Attempts, by how they ended.", "kind", "outcome"),
            outcome=outcomes,
        )
        self._wasted = metrics.counter(
            "duly_wasted_attempts_total",
            "Attempts that ended neither with a success nor as their actor or a person asked.",
            "kind",
        )
        dead = metrics.counter(
            "duly_dead_total", "Jobs that died.", "kind", "reason", reason=reasons
        )
        metrics.on(Died, lambda event: dead.of(event.kind, event.reason).inc())

    def wasted(self, kind: str, outcome: str) -> None:
        """An attempt was in vain."""
        self._attempts.of(kind, outcome).inc()
        self._wasted.of(kind).inc()

    def ended(self, kind: str, outcome: str) -> None:
        """An attempt was not in vain."""
        self._attempts.of(kind, outcome).inc()


def count_of_worker(metrics: Metrics) -> None:
    """Count the attempts that this worker makes."""
    attempts = Attempts(metrics, OUTCOMES, REASONS)
    retries = metrics.counter("duly_retries_total", "Attempts that others followed.", "kind")

    def snoozed(event: Snoozed) -> None:
        tell = attempts.ended if event.is_asked else attempts.wasted
        tell(event.kind, "snoozed")

    def if_attempted(event: Postponed | Cancelled) -> None:
        if event.attempt is not None:
            attempts.ended(event.kind, type(event).__name__.lower())

    metrics.on(Succeeded, lambda event: attempts.ended(event.kind, "succeeded"))
    metrics.on(Failed, lambda event: attempts.wasted(event.kind, event.outcome))
    metrics.on(Superseded, lambda event: attempts.wasted(event.kind, "superseded"))
    metrics.on(Snoozed, snoozed)
    metrics.on(Postponed, if_attempted)
    metrics.on(Cancelled, if_attempted)
    metrics.on(Retried, lambda event: retries.of(event.kind).inc())


def count_of_relay(metrics: Metrics) -> None:
    """Count the attempts whose worker is gone."""
    attempts = Attempts(metrics, [CRASHED], [CRASHED, "unpublishable"])
    rescues = metrics.counter("duly_rescues_total", "Jobs taken from workers that died.", "kind")

    def crashed(event: Rescued | Died) -> None:
        rescues.of(event.kind).inc()
        attempts.wasted(event.kind, CRASHED)

    def died(event: Died) -> None:
        if event.reason == CRASHED:
            crashed(event)

    metrics.on(Rescued, crashed)
    metrics.on(Died, died)
