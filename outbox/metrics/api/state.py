"""What an API is doing at the moment of a scrape: it is asked then, and pays nothing before."""

from typing import Protocol

from outbox.metrics.registry import Metrics


class Api(Protocol):
    """What is asked of an API."""

    @property
    def connections(self) -> int:
        """How many connections to Postgres it may have."""

    @property
    def busy_connections(self) -> int:
        """How many of them requests are using."""

    @property
    def loop_lag(self) -> float:
        """For how many seconds its event loop made something wait lately, at most."""


class ApiState:
    """The gauges of one API. They are 0 until there is one to `watch`."""

    def __init__(self, metrics: Metrics) -> None:
        self._pool = metrics.gauge(
            "duly_pool_connections", "Connections to Postgres that requests share.", "state"
        )
        self._lag = metrics.gauge(
            "duly_event_loop_lag_seconds", "Longest wait for a turn of the event loop lately."
        )
        self._up = metrics.gauge("duly_up", "Whether the server can be reached.", "server")

    def watch(self, api: Api) -> None:
        """Ask this API at each scrape."""
        self._pool.of("busy").set_function(lambda: api.busy_connections)
        self._pool.of("free").set_function(lambda: api.connections - api.busy_connections)
        self._lag.of().set_function(lambda: api.loop_lag)

    def reaches_postgres(self, *, is_up: bool) -> None:
        """Set whether Postgres can be reached."""
        self._up.of("postgres").set(is_up)
