"""Duly: order and jobs in one transaction, a relay, and workers that record every job.

As shipped: the default number of threads, and the logs that `duly relay` and `duly worker` write.
`BENCH_TUNED=1` is what can be set for throughput: 32 threads, and no logs below WARNING.
"""

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from pydantic import BaseModel
from sqlalchemy.orm import Session

from bench.systems import slow_server
from bench.systems.shop import engine, keep_order
from bench.tally import mark
from outbox import Actor, Actors, Job, Kind, actor, logs, submit, submit_all
from outbox.relay import process as relay_process
from outbox.tracing.start import start
from outbox.worker import process as worker_process
from service.settings import settings

DATABASE_URL = os.environ["DATABASE_URL"]
AMQP_URL = os.environ["AMQP_URL"]
QUEUE = "bench.duly"
TUNED = bool(os.environ.get("BENCH_TUNED"))
TUNED_THREADS = 32
SHORT_SECONDS, LONG_SECONDS = 0.05, 4.0

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


class Number(BaseModel):
    """The payload."""

    number: int


NOTHING = Kind("bench.nothing", Number, queue=QUEUE)


@actor(NOTHING)
def nothing(work: Number, _job: Job) -> None:
    """Marks the tally."""
    mark(work.number)


def wait(work: Number, _job: Job) -> None:
    """Wait for the slow server, on a thread."""
    mark(work.number)
    with socket.create_connection((slow_server.HOST, slow_server.PORT)) as connection:
        connection.sendall(REQUEST)
        while connection.recv(4096):
            """Until the server has answered and closed."""


async def wait_as_task(work: Number, _job: Job) -> None:
    """The same, without a thread."""
    mark(work.number)
    reader, writer = await asyncio.open_connection(slow_server.HOST, slow_server.PORT)
    writer.write(REQUEST)
    await reader.read()
    writer.close()


def pause(work: Number, _job: Job) -> None:
    """Wait as for another service; some wait for longer than a worker that ends waits for them."""
    mark(work.number)
    time.sleep(LONG_SECONDS if work.number % 100 == 0 else SHORT_SECONDS)


ACTORS: dict[str, Actor[Number, Any]] = {
    "nothing": nothing,
    "wait": Actor(NOTHING, wait),
    "pause": Actor(NOTHING, pause),
    "await": Actor(NOTHING, wait_as_task),
}


if settings().traces:
    start("bench")


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
    chosen = ACTORS[os.environ.get("BENCH_ACTOR", "nothing")]
    run = partial(worker_process.run, actors=Actors([chosen]))
    if at_once := int(os.environ.get("BENCH_AT_ONCE", "0")):
        run = partial(run, threads=min(at_once, 8), tasks=at_once)
    if grace := int(os.environ.get("BENCH_GRACE", "0")):
        run = partial(run, grace=timedelta(seconds=grace))
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
