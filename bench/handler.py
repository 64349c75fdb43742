"""A FastAPI handler that stores a row and hands in a job: requests a second of one process.

No worker and no relay runs: what is measured is what the client waits for.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import psycopg

from bench.comparison import Comparison, in_turns
from bench.contestants import CELERY, DRAMATIQ, DULY, Contestant
from bench.crew import FOLDER, Crew, crew
from bench.setting import Bench
from bench.systems.shop import CONNECTIONS, CREATE_ORDERS
from dev.ports import free_port
from dev.wait import wait_until

SECONDS = 2
SLICES = 2
"""Of a round, so that what else the machine does hits all alike."""
START_SECONDS = 30


def run(bench: Bench) -> list[Comparison]:
    """16 connections that are kept alive; the peers commit first and then publish."""
    with (
        _shop(bench, DULY) as duly,
        _shop(bench, CELERY) as celery,
        _shop(bench, DRAMATIQ) as other,
    ):
        rates = in_turns(
            {
                "row and job": partial(_rate, bench, duly, "/orders"),
                "row alone": partial(_rate, bench, duly, "/rows"),
                "row, then Celery delay": partial(_rate, bench, celery, "/orders"),
                "row, then Dramatiq send": partial(_rate, bench, other, "/orders"),
            },
            bench.rounds * SLICES,
            bench.say,
        )
    ours, alone, after_celery, after_dramatiq = rates.values()
    return [
        Comparison("row and job ÷ row alone", ours, alone, "requests/s", 0.85, 0.95),
        Comparison("÷ row, then Celery delay", ours, after_celery, "requests/s", 2),
        Comparison("÷ row, then Dramatiq send", ours, after_dramatiq, "requests/s", 1.3),
    ]


@contextmanager
def _shop(bench: Bench, contestant: Contestant) -> Iterator[tuple[Crew, int]]:
    """A shop that accepts requests, and its port. All are open, and one is asked at a time."""
    shop, port = f"{contestant.module}_shop", free_port()
    with crew(bench.database_url, bench.amqp_url, shop, contestant.queues) as own:
        contestant.create_tables(own.database_url)
        with psycopg.connect(own.database_url, autocommit=True) as connection:
            connection.execute(CREATE_ORDERS)
        own.start("uvicorn", f"bench.systems.{shop}:app", "--port", str(port), "--no-access-log")
        if not wait_until(lambda: _accepts(port), START_SECONDS):
            raise TimeoutError(f"{shop} does not start; see .bench/{shop}.log")
        yield own, port


def _rate(bench: Bench, shop: tuple[Crew, int], path: str) -> float:
    own, port = shop
    seconds = str(bench.size(SECONDS))
    load = own.start("bench.load", str(port), path, str(CONNECTIONS), seconds, asks=True)
    said, _ = load.communicate()
    if load.returncode:
        raise RuntimeError(f"the requests to {path} failed; see the log in {FOLDER}")
    return float(said)


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
