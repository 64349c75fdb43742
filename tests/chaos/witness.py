"""The oracle: what clients were told and what other services saw, in a file of its own.

It knows nothing of Duly's tables, nor of any queue.
"""

import json
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TABLES = """
CREATE TABLE asked (key TEXT PRIMARY KEY, at REAL);
CREATE TABLE told (key TEXT PRIMARY KEY, at REAL);
CREATE TABLE received (key TEXT, message_id TEXT, at TEXT DEFAULT current_timestamp);
CREATE TABLE seen (key TEXT, idempotency_key TEXT, at TEXT DEFAULT current_timestamp);
CREATE TABLE cancelled (key TEXT PRIMARY KEY, at TEXT DEFAULT current_timestamp);
"""


class Witness:
    """Writes down what it is shown, and never asks the system under test."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._diary = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._diary.executescript("PRAGMA synchronous = off;" + TABLES)

    def asked(self, key: str) -> None:
        """A client is about to place its order, for the first time."""
        self._note("INSERT INTO asked VALUES (?, ?)", key, time.monotonic())

    def told(self, key: str) -> None:
        """A client was told 2xx for its order."""
        self._note("INSERT INTO told VALUES (?, ?)", key, time.monotonic())

    def told_cancelled(self, key: str) -> None:
        """A client was told that its order is cancelled, and will have no effect."""
        self._note("INSERT INTO cancelled (key) VALUES (?)", key)

    def saw(self, key: str, idempotency_key: str) -> None:
        """A request for the order came in elsewhere."""
        self._note("INSERT INTO seen (key, idempotency_key) VALUES (?, ?)", key, idempotency_key)

    def received(self, key: str, message_id: str) -> None:
        """A message about the order has come to the other service's queue."""
        self._note("INSERT INTO received (key, message_id) VALUES (?, ?)", key, message_id)

    @property
    def accepted(self) -> Mapping[str, tuple[float, float]]:
        """The orders that were accepted: when they were placed, and when their clients knew."""
        rows = self._rows("SELECT key, asked.at, told.at FROM told JOIN asked USING (key)")
        return {key: (asked, told) for key, asked, told in rows}

    @property
    def cancelled(self) -> set[str]:
        """The orders whose clients were told that they are cancelled."""
        return {key for (key,) in self._rows("SELECT key FROM cancelled")}

    @property
    def calls(self) -> Mapping[str, Counter[str]]:
        """For each order seen elsewhere, how often under which idempotency key."""
        return self._counted("SELECT key, idempotency_key FROM seen")

    @property
    def messages(self) -> Mapping[str, Counter[str]]:
        """For each order that the other service has heard of, how often with which message id."""
        return self._counted("SELECT key, message_id FROM received")

    def _counted(self, query: str) -> Mapping[str, Counter[str]]:
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for key, value in self._rows(query):
            found[key][value] += 1
        return found

    def _note(self, insert: str, *values: str | float) -> None:
        with self._lock:
            self._diary.execute(insert, values)

    def _rows(self, query: str) -> list[Any]:
        with self._lock:
            return self._diary.execute(query).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._diary.close()


@contextmanager
def receiver(witness: Witness) -> Iterator[str]:
    """The service elsewhere; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            witness.saw(body["key"], self.headers["Idempotency-Key"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
