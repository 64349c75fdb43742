"""The orders of Duly's app that clients cancel: two halves of an effect, and time between them."""

import asyncio
import time

from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox import Job, actor
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter
from outbox.postgres.replication import WRITE_WAL
from tests.chaos import cancels, shop
from tests.chaos.orders import Order
from tests.chaos.systems.duly_kinds import HALVES, HALVES_AS_TASK

NAP_SECONDS = 0.05
"""`time.sleep` is not interrupted: it is a call into C."""


@actor(HALVES)
def halves(order: Order, job: Job) -> None:
    naps = round(order.seconds / NAP_SECONDS)
    with job.transaction() as tx:
        shop.store(tx, order)
        for nap in range(naps):
            job.progress(nap, naps)
            time.sleep(NAP_SECONDS)
        shop.write(tx, cancels.second_key(order.key))


@actor(HALVES_AS_TASK)
async def halves_as_task(order: Order, job: Job) -> None:
    async with job.transaction() as tx:
        await tx.run_sync(shop.store, order)
        await asyncio.sleep(order.seconds)
        await tx.run_sync(shop.write, cancels.second_key(order.key))


def cancel(session: Session, key: str) -> str:
    """Cancel the order's job; its state then."""
    (job,) = jobs.find(session, JobFilter(subject=key))
    state = jobs.cancel(session, job.id, by="client", why="it was an error")
    if state is None:  # so that what is told here outlives the server, too
        session.execute(text(WRITE_WAL))
    return state or job.state


ACTORS = (halves, halves_as_task)
