"""Duly, as docs/your-app.md has it: the order and its job are one transaction."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox import Actors, Job, actor, submit
from outbox.postgres.replication import WRITE_WAL, watch_commits
from outbox.relay import process as relay_process
from outbox.worker import process as worker_process
from tests.chaos import shop, terms, ticks
from tests.chaos.contenders import KEYED_QUEUE, QUEUE
from tests.chaos.orders import Order, Sort
from tests.chaos.systems import (
    duly_accounts,
    duly_batches,
    duly_cancels,
    duly_messages,
    duly_steps,
)
from tests.chaos.systems.duly_kinds import (
    BEAT,
    CALL,
    FULFIL,
    FULFIL_AS_TASK,
    KINDS,
    SCHEDULES,
    Beat,
    priority_of,
    work_of,
)

DATABASE_URL = os.environ["DATABASE_URL"]
AMQP_URL = os.environ["AMQP_URL"]

watch_commits(shop.engine)
app = FastAPI()


@app.post("/orders", status_code=201)
def place(order: Order) -> None:
    with Session(shop.engine) as session, session.begin():
        if not shop.keep(session, order):
            session.execute(text(WRITE_WAL))
        else:
            PLACES.get(order.sort, _submit)(session, order)


def _submit(session: Session, order: Order) -> None:
    held = datetime.now(UTC) + timedelta(seconds=order.wait) if order.wait else None
    work, priority = work_of(order), priority_of(order)
    submit(session, work, run_at=held, priority=priority, subject=order.key)


PLACES: dict[Sort, Callable[[Session, Order], None]] = {
    Sort.BATCH: duly_batches.place,
    Sort.UNIQUE: duly_accounts.place,
    Sort.DEBOUNCED: duly_accounts.place,
    Sort.ONCE: duly_accounts.place,
    Sort.EVENT: duly_messages.place,
}
"""What places the orders of which not simply a job is submitted."""


@app.post("/orders/{key}/cancel")
def cancel(key: str) -> str:
    with Session(shop.engine) as session, session.begin():
        return duly_cancels.cancel(session, key)


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


@actor(BEAT)
def beat(work: Beat, job: Job) -> None:
    time.sleep(work.seconds)
    with job.transaction() as tx:
        shop.write(tx, ticks.key(str(job.id)))


def run_relay() -> None:
    """The relay process."""
    asyncio.run(
        relay_process.run(
            database_url=DATABASE_URL,
            amqp_url=AMQP_URL,
            queues=[QUEUE, KEYED_QUEUE],
            window=1000,
            kinds=KINDS,
            schedules=SCHEDULES,
        )
    )


OTHERS = (
    *(*duly_batches.ACTORS, *duly_cancels.ACTORS, *duly_steps.ACTORS),
    *(*duly_accounts.ACTORS, *duly_messages.ACTORS),
)


def run_worker() -> None:
    """The worker process."""
    code = worker_process.run(
        actors=Actors([fulfil, fulfil_as_task, call, beat, *OTHERS]),
        database_url=DATABASE_URL,
        amqp_url=AMQP_URL,
        threads=terms.THREADS,
        tasks=terms.THREADS,
        consumers=duly_messages.CONSUMERS,
    )
    sys.exit(code)


if __name__ == "__main__":
    {"relay": run_relay, "worker": run_worker}[sys.argv[1]]()
