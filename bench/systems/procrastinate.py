"""Procrastinate: the queue in Postgres, and workers that record every job.

Plain code opens the app and defers synchronously; workers are asynchronous, as it recommends. Its
bulk way is `batch_defer`.
"""

import os
from collections.abc import Sequence
from functools import cache

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import JobDeferrer
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


@cache
def _deferrer() -> JobDeferrer:
    """The task, of which plain code knows the name alone."""
    return opened().configure_task(nothing.name, queue=QUEUE)


def hand_in(numbers: Sequence[int]) -> None:
    """Defer one, or many at once."""
    if len(numbers) == 1:
        _deferrer().defer(number=numbers[0])
    else:
        rows: list[JSONDict] = [{"number": number} for number in numbers]
        _deferrer().batch_defer(*rows)
