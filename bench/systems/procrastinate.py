"""Procrastinate: the queue in Postgres, and workers that record every job.

Plain code defers synchronously, in the transaction of the order; workers are asynchronous, as it
recommends. Its bulk way is `batch_defer`.
"""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.jobs import JobDeferrer
from procrastinate.types import JSONDict

from bench.systems.shop import INSERT_ORDER, WITH_ORDER
from bench.tally import mark

QUEUE = "bench.procrastinate"
LOCKS = int(os.environ.get("BENCH_LOCKS", "0"))
"""Jobs with the same lock run one after the other."""

app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE_URL"]))


@app.task(queue=QUEUE)
async def nothing(number: int) -> None:
    """Marks the tally."""
    mark(number)


@cache
def opened() -> App:
    """The app, as plain code opens it."""
    app.open()
    return app


@cache
def _connection() -> "psycopg.Connection[Any]":
    """The producer's."""
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


def _deferrer(lock: str | None = None) -> JobDeferrer:
    """The task, of which plain code knows the name alone, in the transaction of the order."""
    return opened().configure_task(nothing.name, queue=QUEUE, connection=_connection(), lock=lock)


def hand_in(numbers: Sequence[int]) -> None:
    """The order's row, and one job deferred or many at once, in one transaction."""
    with _connection().transaction():
        if WITH_ORDER:
            _connection().execute(INSERT_ORDER)
        if LOCKS:
            for number in numbers:
                lock = f"key:{number % LOCKS}"
                _deferrer(lock=lock).defer(number=number)
        elif len(numbers) == 1:
            _deferrer().defer(number=numbers[0])
        else:
            rows: list[JSONDict] = [{"number": number} for number in numbers]
            _deferrer().batch_defer(*rows)
