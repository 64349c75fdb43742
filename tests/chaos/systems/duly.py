"""Duly, as docs/your-app.md has it: the order and its job are one transaction."""

import asyncio
import os
import sys
from datetime import timedelta

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox import Actors, Job, Kind, Retry, actor, submit
from outbox.postgres.replication import WRITE_WAL, watch_commits
from outbox.relay import process as relay_process
from outbox.worker import process as worker_process
from tests.chaos import shop, terms
from tests.chaos.orders import Order, Sort

QUEUE = "orders"
RETRY = Retry(
    attempts=terms.ATTEMPTS,
    first=timedelta(seconds=terms.FIRST_BACKOFF_SECONDS),
    longest=timedelta(seconds=terms.LONGEST_PAUSE_SECONDS),
)
FULFIL = Kind("order.fulfil", Order, queue=QUEUE, retry=RETRY)
FULFIL_AS_TASK = Kind("order.fulfil_as_task", Order, queue=QUEUE, retry=RETRY)
CALL = Kind("order.call", Order, queue=QUEUE, retry=RETRY)
KINDS = {Sort.CALL: CALL, Sort.SLOW: FULFIL_AS_TASK, Sort.FLAKY: FULFIL_AS_TASK}
"""The kinds of all sorts but those of FULFIL."""
DATABASE_URL = os.environ["DATABASE_URL"]
AMQP_URL = os.environ["AMQP_URL"]

watch_commits(shop.engine)
app = FastAPI()


@app.post("/orders", status_code=201)
def place(order: Order) -> None:
    with Session(shop.engine) as session, session.begin():
        if shop.keep(session, order):
            submit(session, KINDS.get(order.sort, FULFIL)(**order.model_dump()))
        else:
            session.execute(text(WRITE_WAL))


@actor(FULFIL)
def fulfil(order: Order, job: Job) -> None:
    shop.work(order, job.attempt)
    with job.transaction() as tx:
        shop.store(tx, order)
        if order.sort is Sort.CHAIN:
            submit(tx, CALL(**order.model_dump()))


@actor(FULFIL_AS_TASK)
async def fulfil_as_task(order: Order, job: Job) -> None:
    await asyncio.sleep(order.seconds)
    shop.fail(order, job.attempt)
    async with job.transaction() as tx:
        await tx.run_sync(shop.store, order)


@actor(CALL)
def call(order: Order, job: Job) -> None:
    shop.call(order, str(job.id))


def run_relay() -> None:
    """The relay process."""
    asyncio.run(
        relay_process.run(database_url=DATABASE_URL, amqp_url=AMQP_URL, queues=[QUEUE], window=1000)
    )


def run_worker() -> None:
    """The worker process."""
    code = worker_process.run(
        actors=Actors([fulfil, fulfil_as_task, call]),
        database_url=DATABASE_URL,
        amqp_url=AMQP_URL,
        threads=terms.THREADS,
        tasks=terms.THREADS,
    )
    sys.exit(code)


if __name__ == "__main__":
    {"relay": run_relay, "worker": run_worker}[sys.argv[1]]()
