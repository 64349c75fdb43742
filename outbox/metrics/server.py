"""Serves a process's metrics over HTTP, on a port of its own and on threads of its own."""

from threading import Thread

from prometheus_client import make_wsgi_app

from outbox.metrics.registry import Metrics
from outbox.metrics.scrape_server import ScrapeServer


class MetricsServer:
    """Answers each scrape, until closed or until the process ends.

    It asks nobody for a key: whoever reaches the port reads the metrics.
    """

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        """Raises OSError if it cannot listen there, as when another process does."""
        try:
            self._http = ScrapeServer(host, port, make_wsgi_app(metrics.registry))
        except UnicodeError:
            raise OSError("no such host") from None
        self._thread = Thread(target=self._http.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens: the port that the system chose, if it was told 0."""
        return int(self._http.server_port)

    def close(self) -> None:
        """Listen no more, once the scrape that is accepted at this moment is."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
