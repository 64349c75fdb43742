"""Which metrics each sort of process has."""

from collections.abc import Callable, Mapping

from outbox.metrics.registry import Metrics


def of_relay() -> Metrics:
    """The metrics of a relay, from now on."""
    return Metrics()


def of_worker() -> Metrics:
    """The metrics of a worker, from now on."""
    return Metrics()


def of_api() -> Metrics:
    """The metrics of an API, from now on."""
    return Metrics()


PROCESSES: Mapping[str, Callable[[], Metrics]] = {
    "relay": of_relay,
    "worker": of_worker,
    "api": of_api,
}
