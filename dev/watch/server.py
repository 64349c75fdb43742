"""Serves the page: `python -m dev.watch.server PORT PROMETHEUS`."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import isfinite

import httpx2

from dev.watch.chart import Points
from dev.watch.page import render
from outbox import monitoring

SHOWN_SECONDS = 300
STEP_SECONDS = 2


class Prometheus:
    """Answers expressions for the last minutes."""

    def __init__(self, address: str) -> None:
        self._http = httpx2.Client(base_url=address)
        self.end = time.time()
        self.begin = self.end - SHOWN_SECONDS

    def ask(self, expression: str) -> list[tuple[dict[str, str], Points]]:
        """The series. Raises httpx2.HTTPError."""
        spell = {"start": self.begin, "end": self.end, "step": STEP_SECONDS}
        answer = self._http.get("/api/v1/query_range", params={"query": expression, **spell})
        found = answer.raise_for_status().json()["data"]["result"]
        return [(each["metric"], _points(each["values"])) for each in found]


def _points(values: list[tuple[float, str]]) -> Points:
    return [(at, float(value)) for at, value in values if isfinite(float(value))]


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with the page."""

    prometheus: str

    def do_GET(self) -> None:
        """The page of now."""
        source = Prometheus(self.prometheus)
        dashboard = json.loads(monitoring.dashboard())
        page = render(dashboard, source.ask, source.begin, source.end).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


def serve(port: int, prometheus: str) -> None:
    """Until the process ends."""
    Handler.prometheus = prometheus
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
