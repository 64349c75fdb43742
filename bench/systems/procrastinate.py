"""Procrastinate: the queue in Postgres, and workers that record every job.

Plain code opens the app and defers synchronously; workers are asynchronous, as it recommends. Its
bulk way is `batch_defer`.
"""

import os
from collections.abc import Sequence
from functools import cache

from procrastinate import App, PsycopgConnector
from procrastinate.types import JSONDict

from bench.tally import mark

QUEUE = "bench.procrastinate"

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


def hand_in(numbers: Sequence[int], per_transaction: int) -> None:
    """Defer each, or `per_transaction` at once."""
    task = opened().configure_task(nothing.name, queue=QUEUE)
    if per_transaction == 1:
        for number in numbers:
            task.defer(number=number)
        return
    for first in range(0, len(numbers), per_transaction):
        batch = numbers[first : first + per_transaction]
        rows: list[JSONDict] = [{"number": number} for number in batch]
        task.batch_defer(*rows)
