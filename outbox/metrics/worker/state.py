"""What a worker is doing at the moment of a scrape: it is asked then, and pays nothing before."""

import math
import time
from collections.abc import Mapping
from typing import Protocol

from outbox.metrics.registry import Metrics
from outbox.metrics.worker.servers_up import ServersUp

UP_SECONDS = 3.0
"""Postgres counts as up for so long after a heartbeat that it answered. There is one a second."""


class Slots(Protocol):
    """Places in which actors run."""

    count: int

    @property
    def busy(self) -> int:
        """How many are taken."""


class Worker(Protocol):
    """What is asked of a worker, from any thread."""

    @property
    def slots(self) -> Mapping[str, Slots]:
        """Its slots, by sort."""

    @property
    def heartbeat_age(self) -> float:
        """How many seconds ago it sent the last heartbeat that was answered."""

    @property
    def consumes(self) -> bool | None:
        """Whether it consumes from RabbitMQ; None before it has tried to."""

    @property
    def loop_lag(self) -> float:
        """For how many seconds its event loop made something wait."""


class WorkerState:
    """The gauges of one worker. Without one to `watch`, they are 0, and `duly_up` has no series."""

    def __init__(self, metrics: Metrics) -> None:
        self._slots = metrics.gauge("duly_slots", "Slots for actors.", "sort", "state")
        self._heartbeat = metrics.gauge(
            "duly_heartbeat_timestamp_seconds", "When Postgres last answered a heartbeat."
        )
        self._up = ServersUp(metrics)
        self._lag = metrics.gauge(
            "duly_event_loop_lag_seconds", "Longest wait for a turn of the event loop lately."
        )

    def watch(self, worker: Worker) -> None:
        """Ask this worker at each scrape."""
        for sort in worker.slots:
            self._watch_slots(sort, worker.slots[sort])
        self._heartbeat.of().set_function(lambda: _moment(worker.heartbeat_age))
        self._up.watch(
            {
                "postgres": lambda: worker.heartbeat_age < UP_SECONDS,
                "broker": lambda: worker.consumes,
            }
        )
        self._lag.of().set_function(lambda: worker.loop_lag)

    def _watch_slots(self, sort: str, slots: Slots) -> None:
        self._slots.of(sort, "busy").set_function(lambda: slots.busy)
        self._slots.of(sort, "free").set_function(lambda: slots.count - slots.busy)


def _moment(age: float) -> float:
    return time.time() - age if math.isfinite(age) else 0.0
