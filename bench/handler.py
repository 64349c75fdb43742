"""A FastAPI handler that stores a row and hands in a job: requests a second of one process.

No worker and no relay runs: what is measured is what the client waits for.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from statistics import median

import psycopg

from bench.comparison import Comparison
from bench.contestants import CELERY, DRAMATIQ, DULY, Contestant
from bench.crew import crew
from bench.setting import Bench
from bench.systems.shop import CONNECTIONS, CREATE_ORDERS
from dev.ports import free_port
from dev.wait import wait_until

SECONDS = 0.5
"""Of a shop's turn: short, so that what else the machine does hits all alike."""
TURNS = 10
"""Of a round."""
START_SECONDS = 30


def run(bench: Bench) -> list[Comparison]:
    """16 connections that are kept alive; the peers commit first and then publish."""
    with (
        _shop(bench, DULY) as duly,
        _shop(bench, CELERY) as celery,
        _shop(bench, DRAMATIQ) as other,
    ):
        ours, alone, after_celery, after_dramatiq = _rates(
            bench, f"{duly}/orders", f"{duly}/rows", f"{celery}/orders", f"{other}/orders"
        )
    return [
        Comparison("row and job ÷ row alone", ours, alone, "requests/s", 0.85, 0.95),
        Comparison("÷ row, then Celery delay", ours, after_celery, "requests/s", 2),
        Comparison("÷ row, then Dramatiq send", ours, after_dramatiq, "requests/s", 1.3),
    ]


@contextmanager
def _shop(bench: Bench, contestant: Contestant) -> Iterator[int]:
    """A shop that accepts requests, at the port given. All are open, and one is asked at a time."""
    shop, port = f"{contestant.module}_shop", free_port()
    with crew(bench.database_url, bench.amqp_url, shop, contestant.queues) as own:
        contestant.create_tables(own.database_url)
        with psycopg.connect(own.database_url, autocommit=True) as connection:
            connection.execute(CREATE_ORDERS)
        own.start("uvicorn", f"bench.systems.{shop}:app", "--port", str(port), "--no-access-log")
        if not wait_until(lambda: _accepts(port), START_SECONDS):
            raise TimeoutError(f"{shop} does not start; see .bench/{shop}.log")
        yield port


def _rates(bench: Bench, *targets: str) -> list[list[float]]:
    """Requests a second of each, turn by turn."""
    turns = bench.size(TURNS * bench.rounds)
    load = subprocess.run(
        [sys.executable, "-m", "bench.load", *map(str, (CONNECTIONS, SECONDS, turns, *targets))],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if load.returncode:
        raise RuntimeError("a request failed; see above, and the logs in .bench")
    rates: list[list[float]] = json.loads(load.stdout)
    for target, values in zip(targets, rates, strict=True):
        bench.say(f"{target}: {median(values):,.4g}, from {min(values):,.4g} to {max(values):,.4g}")
    return rates


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
