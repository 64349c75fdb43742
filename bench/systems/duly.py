"""Duly: one transaction for each submission, a relay, and workers that record every job."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import cache

import structlog
from pydantic import BaseModel
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from bench.tally import mark
from outbox import Actors, Job, Kind, actor, relay_process, submit, submit_all, worker
from outbox.database import sqlalchemy_url
from outbox.nudge import BlockingNudge

DATABASE_URL = os.environ["DATABASE_URL"]
AMQP_URL = os.environ["AMQP_URL"]
QUEUE = "bench.duly"
THREADS = int(os.environ.get("BENCH_THREADS", "32"))


class Number(BaseModel):
    """The payload."""

    number: int


NOTHING = Kind("bench.nothing", Number, queue=QUEUE)


@actor(NOTHING)
def nothing(work: Number, _job: Job) -> None:
    """Marks the tally."""
    mark(work.number)


@cache
def engine() -> Engine:
    """The producer's connections. Each submission is one statement, which commits by itself."""
    return create_engine(sqlalchemy_url(DATABASE_URL), isolation_level="AUTOCOMMIT")


def hand_in(numbers: Sequence[int]) -> None:
    """One transaction for all of them."""
    works = [NOTHING(number=number) for number in numbers]
    with Session(engine()) as session:
        if len(works) == 1:
            submit(session, works[0])
        else:
            submit_all(session, works)


@cache
def _nudge() -> BlockingNudge:
    return BlockingNudge(DATABASE_URL)


def nudge() -> None:
    """Wake the relay up after a commit, as plain code does."""
    _nudge().send()


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
    actors = Actors([nothing])
    code = worker.run(actors=actors, database_url=DATABASE_URL, amqp_url=AMQP_URL, threads=THREADS)
    sys.exit(code)


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        cache_logger_on_first_use=True,
    )
    {"relay": run_relay, "worker": run_worker}[sys.argv[1]]()
