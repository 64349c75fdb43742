"""The HTTP side, on threads. Whoever runs it looks into the book and asks for faults at `/_/`."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from dev.stripe.answers import Answer, Json
from dev.stripe.faults import BY_NAME, NoAnswer
from dev.stripe.provider import Provider, Request


class StripeServer(ThreadingHTTPServer):
    """Answers as `provider` says."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, provider: Provider, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.provider = provider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that was killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """What DULY_STRIPE_URL has to be."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: StripeServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._do("")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # the client was killed in the middle of it
            return
        self._do(body.decode())

    def _do(self, body: str) -> None:
        url = urlsplit(self.path)
        if url.path.startswith("/_/"):
            self._send(Answer(200, _control(self.server.provider, url.path, body)))
            return
        request = Request(
            self.command,
            url.path,
            body or url.query,
            self.headers.get("Authorization"),
            self.headers.get("Idempotency-Key"),
        )
        try:
            self._send(self.server.provider.answer(request))
        except NoAnswer:
            self.close_connection = True

    def _send(self, answer: Answer) -> None:
        body = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Request-Id", f"req_{token_hex(7)}")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _control(provider: Provider, path: str, body: str) -> Json:
    """`/_/book` shows what moved money; POST to `/_/faults` asks for faults by name."""
    if path == "/_/faults":
        for operation, names in json.loads(body).items():
            provider.faults.add(operation, *(BY_NAME[name] for name in names))
    elif path == "/_/forget":
        provider.keys.forget()
    book = provider.book
    movements = [
        {"intent": each.intent_id, "invoice": each.invoice_id, "amount": each.amount}
        for each in book.movements
    ]
    return {"movements": movements, "intents": list(book.intents.values())}
