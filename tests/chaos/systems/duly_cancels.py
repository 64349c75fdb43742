"""The orders of Duly's app that clients cancel: two halves of an effect, and time between them."""

import asyncio

from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox import Job, actor
from outbox.operations import batches, jobs
from outbox.operations.batches import BatchFilter, BatchRecord
from outbox.operations.jobs import JobFilter
from outbox.postgres.replication import WRITE_WAL
from tests.chaos import cancels, shop
from tests.chaos.orders import Order
from tests.chaos.systems.duly_kinds import HALVES, HALVES_AS_TASK


@actor(HALVES)
def halves(order: Order, job: Job) -> None:
    with job.transaction() as tx:
        shop.store(tx, order)
        for nap, naps in shop.naps(order.seconds):
            job.progress(nap, naps)
        shop.write(tx, cancels.second_key(order.key))


@actor(HALVES_AS_TASK)
async def halves_as_task(order: Order, job: Job) -> None:
    async with job.transaction() as tx:
        await tx.run_sync(shop.store, order)
        await asyncio.sleep(order.seconds)
        await tx.run_sync(shop.write, cancels.second_key(order.key))


def cancel(session: Session, key: str) -> str:
    """Cancel the order's job or batch; its state then."""
    if found := batches.find(session, BatchFilter(subject=key)):
        return _cancel_batch(session, found[0])
    (job,) = jobs.find(session, JobFilter(subject=key))
    state = jobs.cancel(session, job.id, by="client", why="it was an error")
    if state is None:  # so that what is told here outlives the server, too
        session.execute(text(WRITE_WAL))
    return state or job.state


def _cancel_batch(session: Session, found: BatchRecord) -> str:
    if batches.cancel(session, found.id, by="client", why="it was an error"):
        return "cancelled"
    session.execute(text(WRITE_WAL))
    return "cancelled" if found.cancelled_at else found.state


ACTORS = (halves, halves_as_task)
