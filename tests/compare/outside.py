"""The service that gives receipts: it counts them, and misbehaves for an order if it is told to."""

import json
import select
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event

from tests.support.network.threaded import serving

FOREVER = 3600.0


@dataclass
class Manners:
    """How it treats the requests for one order."""

    seconds: float = 0
    """How long it takes to give the receipt; not given to who has hung up by then."""
    failures: int = 0
    """So many requests are answered 500."""
    hangs: int = 0
    """So many requests are never answered, and get no receipt."""
    keeps_silent: int = 0
    """So many requests get a receipt, but no answer."""


class Outside(ThreadingHTTPServer):
    """It knows requests by their Idempotency-Key, and gives one receipt for each key."""

    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.closing = Event()
        self.lock = threading.Lock()
        self.manners: dict[int, Manners] = defaultdict(Manners)
        self.asked: dict[int, list[float]] = defaultdict(list)
        """When receipts for an order were asked for."""
        self.hung_up: dict[int, list[float]] = defaultdict(list)
        """When a client left without an answer."""
        self.given: dict[int, set[str]] = defaultdict(set)
        """The keys under which an order has receipts."""

    @property
    def url(self) -> str:
        """Where receipts are asked for."""
        return f"http://127.0.0.1:{self.server_port}/receipts"


def outside() -> AbstractContextManager[Outside]:
    """Runs the service."""
    service = Outside()
    return serving(service, service.closing)


class _Handler(BaseHTTPRequestHandler):
    server: Outside

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        order, key = json.loads(body)["order"], self.headers["Idempotency-Key"]
        with self.server.lock:
            self.server.asked[order].append(time.monotonic())
            act = self._choose(order)
        with suppress(ConnectionError):
            act(order, key)

    def _choose(self, order: int) -> Callable[[int, str], None]:
        manners = self.server.manners[order]
        acts = {"failures": self._fail, "hangs": self._hang, "keeps_silent": self._give_silently}
        for name, act in acts.items():
            if left := getattr(manners, name):
                setattr(manners, name, left - 1)
                return act
        return self._give

    def _fail(self, _order: int, _key: str) -> None:
        self._answer(500)

    def _hang(self, order: int, _key: str) -> None:
        self._listen(order, FOREVER)

    def _give_silently(self, order: int, key: str) -> None:
        self.server.given[order].add(key)
        self._hang(order, key)

    def _give(self, order: int, key: str) -> None:
        if self._listen(order, self.server.manners[order].seconds):
            self.server.given[order].add(key)
            self._answer(204)

    def _listen(self, order: int, seconds: float) -> bool:
        """Whether the client is still there after so long."""
        end = time.monotonic() + seconds
        while not self.server.closing.is_set():
            rest = end - time.monotonic()
            if rest <= 0:
                return True
            if select.select([self.connection], [], [], min(rest, 0.05))[0]:
                self.server.hung_up[order].append(time.monotonic())
                return False
        return False

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""
