"""Which metrics each sort of process has."""

from collections.abc import Callable, Mapping

from outbox.metrics import attempts, relaying, submissions, work
from outbox.metrics.api.requests import Requests
from outbox.metrics.api.state import ApiState
from outbox.metrics.registry import Metrics
from outbox.metrics.sampled import SampledGauges
from outbox.metrics.worker.state import WorkerState


class RelayMetrics(Metrics):
    """The metrics of a relay, from now on."""

    def __init__(self) -> None:
        super().__init__()
        attempts.count_of_relay(self)
        relaying.measure(self)
        SampledGauges(self)


class WorkerMetrics(Metrics):
    """The metrics of a worker, from now on, and of its state once that is told of the worker."""

    def __init__(self) -> None:
        super().__init__()
        submissions.count(self)
        attempts.count_of_worker(self)
        work.measure(self)
        self.state = WorkerState(self)


class ApiMetrics(Metrics):
    """The metrics of an API, from now on, and of its state once that is told of the API."""

    def __init__(self) -> None:
        super().__init__()
        submissions.count(self)
        self.requests = Requests(self)
        self.state = ApiState(self)


PROCESSES: Mapping[str, Callable[[], Metrics]] = {
    "relay": RelayMetrics,
    "worker": WorkerMetrics,
    "api": ApiMetrics,
}
