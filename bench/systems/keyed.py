"""Duly as shipped, with jobs that have a key: `BENCH_KEYS` says what for.

`limits`: one job of a key at a time; `shares`: a fair share for each key; else the kind has no key.
"""

import asyncio
import os
import sys
import time
from collections.abc import Sequence

from pydantic import BaseModel
from sqlalchemy.orm import Session

from bench.systems.shop import engine
from bench.tally import mark
from outbox import Actors, Job, Key, Kind, Kinds, actor, logs, submit
from outbox.relay import process as relay_process
from outbox.worker import process as worker_process
from service.settings import settings

DATABASE_URL = os.environ["DATABASE_URL"]
AMQP_URL = os.environ["AMQP_URL"]
QUEUE = "bench.keyed"
QUIET = "tenant:quiet"


class Work(BaseModel):
    """The payload. The job takes so many seconds, in which it waits."""

    number: int
    key: str
    seconds: float = 0


def key_of(work: Work) -> str:
    """The job's key."""
    return work.key


KEYS = {"limits": Key(key_of, at_most=1), "shares": Key(key_of)}
KEYED = Kind("bench.keyed", Work, queue=QUEUE, key=KEYS.get(os.environ["BENCH_KEYS"]))


@actor(KEYED)
def run(work: Work, _job: Job) -> None:
    """Marks the tally, then waits."""
    mark(work.number)
    if work.seconds:
        time.sleep(work.seconds)


def hand_in(numbers: Sequence[int]) -> None:
    """Jobs of the quiet tenant."""
    with Session(engine()) as session, session.begin():
        for number in numbers:
            submit(session, KEYED(number=number, key=QUIET))


def run_relay() -> None:
    """The relay process."""
    asyncio.run(
        relay_process.run(
            database_url=DATABASE_URL,
            amqp_url=AMQP_URL,
            queues=[QUEUE],
            window=1000,
            kinds=Kinds(KEYED),
        )
    )


def run_worker() -> None:
    """A worker process."""
    actors = Actors([run])
    sys.exit(worker_process.run(database_url=DATABASE_URL, amqp_url=AMQP_URL, actors=actors))


if __name__ == "__main__":
    logs.configure(settings())
    {"relay": run_relay, "worker": run_worker}[sys.argv[1]]()
