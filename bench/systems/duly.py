"""Duly: order and jobs in one transaction, a relay, and workers that record every job.

As shipped: the default number of threads, and the logs that `duly relay` and `duly worker` write.
`BENCH_TUNED=1` is what can be set for throughput: 32 threads, and no logs below WARNING.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import structlog
from pydantic import BaseModel
from sqlalchemy.orm import Session

from bench.systems.shop import engine, keep_order
from bench.tally import mark
from outbox import Actors, Job, Kind, actor, logs, submit, submit_all
from outbox.relay import process as relay_process
from outbox.worker import process as worker_process
from service.settings import settings

DATABASE_URL = os.environ["DATABASE_URL"]
AMQP_URL = os.environ["AMQP_URL"]
QUEUE = "bench.duly"
TUNED = bool(os.environ.get("BENCH_TUNED"))
TUNED_THREADS = 32


class Number(BaseModel):
    """The payload."""

    number: int


NOTHING = Kind("bench.nothing", Number, queue=QUEUE)


@actor(NOTHING)
def nothing(work: Number, _job: Job) -> None:
    """Marks the tally."""
    mark(work.number)


def hand_in(numbers: Sequence[int]) -> None:
    """The order's row and its jobs, in one transaction."""
    works = [NOTHING(number=number) for number in numbers]
    with Session(engine()) as session, session.begin():
        keep_order(session)
        if len(works) == 1:
            submit(session, works[0])
        else:
            submit_all(session, works)


def run_relay() -> None:
    """The relay process."""
    window = int(os.environ.get("BENCH_WINDOW", "1000"))
    patience = timedelta(seconds=int(os.environ.get("BENCH_PATIENCE", "30")))
    asyncio.run(
        relay_process.run(
            database_url=DATABASE_URL,
            amqp_url=AMQP_URL,
            queues=[QUEUE],
            window=window,
            patience=patience,
        )
    )


def run_worker() -> None:
    """A worker process."""
    run = partial(worker_process.run, actors=Actors([nothing]))
    if TUNED:
        run = partial(run, threads=TUNED_THREADS)
    sys.exit(run(database_url=DATABASE_URL, amqp_url=AMQP_URL))


def _configure_logs() -> None:
    logs.configure(settings())
    if TUNED:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


if __name__ == "__main__":
    _configure_logs()
    {"relay": run_relay, "worker": run_worker}[sys.argv[1]]()
