"""Serves a process's metrics over HTTP, on a port of its own and on threads of its own."""

from prometheus_client import start_http_server

from outbox.metrics.registry import Metrics


class MetricsServer:
    """Answers each scrape, until closed or until the process ends.

    It asks nobody for a key: whoever reaches the port reads the metrics.
    """

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        """Raises OSError if it cannot listen there, as when another process does."""
        try:
            self._http, self._thread = start_http_server(port, host, metrics.registry)
        except UnicodeError:
            raise OSError("no such host") from None

    @property
    def port(self) -> int:
        """Where it listens: the port that the system chose, if it was told 0."""
        return int(self._http.server_port)

    def close(self) -> None:
        """Listen no more, once the scrape that is accepted at this moment is."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
