"""An HTTP server for scrapes. Clients that send nothing, or too many of them, cost it little."""

import socket
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

SILENCE_SECONDS = 5.0
"""How long it waits for a client to go on, before it gives the connection up."""

MOST_AT_ONCE = 20
"""How many connections it answers at once. It closes any further one."""


class ScrapeServer(ThreadingMixIn, WSGIServer):
    """Answers each connection on a thread of its own, and logs none."""

    daemon_threads = True

    def __init__(
        self, host: str, port: int, app: WSGIApplication, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        """Raises OSError if it cannot listen there, and UnicodeError for what can be no host."""
        first, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.address_family, *_, address = first
        self._silence_seconds = silence_seconds
        self._free = BoundedSemaphore(MOST_AT_ONCE)
        super().__init__((str(address[0]), port), _Handler)
        self.set_app(app)

    def get_request(self) -> tuple[Any, Any]:
        """The next connection, which must not be silent for long."""
        connection, client_address = super().get_request()
        connection.settimeout(self._silence_seconds)
        return connection, client_address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer it on a thread, unless too many are being answered."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer it, on its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that are gone, or send what is no request."""


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing of scrapes."""
