"""A real HTTP server that keeps the webhooks it gets and answers as a test tells it to."""

import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any

from standardwebhooks import Webhook

from tests.support.network.threaded import serving


@dataclass(frozen=True)
class Delivery:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str) -> Any:
        """The event, once its signature was found to be right."""
        return Webhook(secret).verify(self.body, self.headers)


Answer = Callable[[BaseHTTPRequestHandler], None]


class Receiver(ThreadingHTTPServer):
    """Answers each POST with `answer`, and keeps it."""

    request_queue_size = 128  # of five, as it is by default, others are reset on a busy machine

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.deliveries: list[Delivery] = []
        self.answer: Answer = status(204)
        self.closing = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks?tenant=7"


def receiver(context: ssl.SSLContext | None = None) -> AbstractContextManager[Receiver]:
    """Runs a receiver, with TLS where a context is given."""
    receiver = Receiver()
    return serving(receiver, receiver.closing, context)


def status(code: int, **headers: str) -> Answer:
    """Answers with a status and headers, whose names are written with underscores."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()

    return answer


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            return  # the sender was killed in the middle of it
        self.server.deliveries.append(Delivery(self.path, dict(self.headers), body))
        with suppress(ConnectionError):
            self.server.answer(self)

    def log_message(self, *_: object) -> None:
        """Says nothing."""
