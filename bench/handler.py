"""A FastAPI handler that stores a row and hands in a job: requests a second of one process.

No worker and no relay runs: what is measured is what the client waits for.
"""

import socket
from contextlib import suppress
from functools import partial

import psycopg

from bench.comparison import Comparison, in_turns
from bench.contestants import CELERY, DRAMATIQ, DULY, Contestant
from bench.crew import crew
from bench.setting import Bench
from bench.systems.shop import CONNECTIONS, CREATE_ORDERS
from dev.ports import free_port
from dev.wait import wait_until

SECONDS = 4
START_SECONDS = 30


def run(bench: Bench) -> list[Comparison]:
    """16 connections that are kept alive; the peers commit first and then publish."""
    rates = in_turns(
        {
            "row and job": partial(_rate, bench, DULY, "/orders"),
            "row alone": partial(_rate, bench, DULY, "/rows"),
            "row, then Celery delay": partial(_rate, bench, CELERY, "/orders"),
            "row, then Dramatiq send": partial(_rate, bench, DRAMATIQ, "/orders"),
        },
        bench.rounds,
        bench.say,
    )
    ours, alone, celery, dramatiq = rates.values()
    return [
        Comparison("row and job ÷ row alone", ours, alone, "requests/s", 0.85, 0.95),
        Comparison("÷ row, then Celery delay", ours, celery, "requests/s", 2),
        Comparison("÷ row, then Dramatiq send", ours, dramatiq, "requests/s", 1.3),
    ]


def _rate(bench: Bench, contestant: Contestant, path: str) -> float:
    shop, port = f"{contestant.module}_shop", str(free_port())
    with crew(bench.database_url, bench.amqp_url, shop, contestant.queues) as own:
        contestant.create_tables(own.database_url)
        with psycopg.connect(own.database_url, autocommit=True) as connection:
            connection.execute(CREATE_ORDERS)
        own.start("uvicorn", f"bench.systems.{shop}:app", "--port", port, "--no-access-log")
        if not wait_until(lambda: _accepts(int(port)), START_SECONDS):
            raise TimeoutError(f"{shop} does not start; see .bench/{shop}.log")
        seconds = str(bench.size(SECONDS))
        load = own.start("bench.load", port, path, str(CONNECTIONS), seconds, asks=True)
        said, _ = load.communicate()
    if load.returncode:
        raise RuntimeError(f"the requests failed; see .bench/{shop}.log")
    return float(said)


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
