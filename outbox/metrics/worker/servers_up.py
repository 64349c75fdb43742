"""Shows whether a process reaches its servers, as it is asked at each scrape."""

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from outbox.listeners.measures import Server
from outbox.metrics.registry import Metrics

IsUp = Callable[[], bool | None]
"""Whether the server is reached; None before it was tried. Called from any thread."""


class ServersUp(Collector):
    """The gauge `duly_up`. A server that was not tried yet has no series."""

    def __init__(self, metrics: Metrics) -> None:
        self._servers: dict[Server, IsUp] = {}
        metrics.describe("duly_up", "gauge", "server")
        metrics.registry.register(self)

    def watch(self, servers: dict[Server, IsUp]) -> None:
        """Ask these at each scrape."""
        self._servers = servers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge, for a scrape on another thread."""
        family = GaugeMetricFamily(
            "duly_up", "Whether the server can be reached.", labels=["server"]
        )
        for server, ask in self._servers.items():
            is_up = ask()
            if is_up is not None:
                family.add_metric([server], is_up)
        yield family
