"""What traces cost: Duly that keeps one in a hundred, beside Duly that makes none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from bench.comparison import Comparison, in_turns
from bench.contestants import DULY, Contestant
from bench.runs import throughput
from bench.setting import Bench
from bench.worker import drained

RATIO = "0.01"
REACH = 0.98


def run(bench: Bench) -> list[Comparison]:
    """An order and its job in each transaction; an order and a hundred jobs; workers alone."""
    with _collector() as address:
        traced = _traced(address)
        return [
            _compare(bench, "order and job", partial(throughput, bench), traced, 1500, 1),
            _compare(bench, "order and 100 jobs", partial(throughput, bench), traced, 2000, 100),
            _compare(bench, "workers", partial(drained, bench), traced, 20_000),
        ]


def _compare(
    bench: Bench,
    what: str,
    measure: "partial[float]",
    traced: Contestant,
    count: int,
    *per_transaction: int,
) -> Comparison:
    measurements = {
        name: partial(measure, duly, bench.size(count), *per_transaction)
        for name, duly in {"traced": traced, "not traced": DULY}.items()
    }
    rates = in_turns(measurements, bench.rounds, bench.say)
    on, off = rates["traced"], rates["not traced"]
    return Comparison(f"{what}: 1 % traced ÷ none", on, off, "jobs/s", reach=REACH)


def _traced(collector: str) -> Contestant:
    variables = {
        "DULY_TRACES": "on",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": RATIO,
    }
    return replace(DULY, environment={**DULY.environment, **variables})


@contextmanager
def _collector() -> Iterator[str]:
    """The address of a collector that keeps nothing."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
