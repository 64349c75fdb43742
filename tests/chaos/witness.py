"""The oracle: what clients were told and what the service elsewhere saw, in a file of its own.

It knows nothing of Duly's tables, nor of any queue.
"""

import json
import sqlite3
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TABLES = """
CREATE TABLE told (key TEXT PRIMARY KEY, at TEXT DEFAULT current_timestamp);
CREATE TABLE seen (key TEXT, idempotency_key TEXT, at TEXT DEFAULT current_timestamp);
CREATE TABLE cancelled (key TEXT PRIMARY KEY, at TEXT DEFAULT current_timestamp);
"""


class Witness:
    """Writes down what it is shown, and never asks the system under test."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._diary = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._diary.executescript("PRAGMA synchronous = off;" + TABLES)

    def told(self, key: str) -> None:
        """A client was told 2xx for its order."""
        with self._lock:
            self._diary.execute("INSERT INTO told (key) VALUES (?)", [key])

    def told_cancelled(self, key: str) -> None:
        """A client was told that its order is cancelled, and will have no effect."""
        with self._lock:
            self._diary.execute("INSERT INTO cancelled (key) VALUES (?)", [key])

    def saw(self, key: str, idempotency_key: str) -> None:
        """A request for the order came in elsewhere."""
        with self._lock:
            self._diary.execute(
                "INSERT INTO seen (key, idempotency_key) VALUES (?, ?)", [key, idempotency_key]
            )

    @property
    def accepted(self) -> set[str]:
        """The orders that were accepted."""
        return self._keys("SELECT key FROM told")

    @property
    def cancelled(self) -> set[str]:
        """The orders whose clients were told that they are cancelled."""
        return self._keys("SELECT key FROM cancelled")

    @property
    def calls(self) -> Mapping[str, Counter[str]]:
        """For each order seen elsewhere, how often under which idempotency key."""
        calls: dict[str, Counter[str]] = defaultdict(Counter)
        with self._lock:
            for key, idempotency_key in self._diary.execute(
                "SELECT key, idempotency_key FROM seen"
            ):
                calls[key][idempotency_key] += 1
        return calls

    def _keys(self, query: str) -> set[str]:
        with self._lock:
            return {key for (key,) in self._diary.execute(query)}

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
