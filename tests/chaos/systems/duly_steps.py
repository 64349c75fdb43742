"""The orders of Duly's app that are done in steps: half of the rows, time, and the other half."""

import asyncio

from sqlalchemy.orm import Session

from outbox import Job, actor
from tests.chaos import shop, steps
from tests.chaos.orders import Order
from tests.chaos.systems.duly_kinds import STEPS, STEPS_AS_TASK


@actor(STEPS)
def take_steps(order: Order, job: Job) -> None:
    for step in range(job.checkpoint or 0, steps.STEPS):
        with job.step(step + 1) as tx:
            _write_half(tx, order, 2 * step)
            for _ in shop.naps(order.seconds / steps.STEPS):
                pass
            _write_half(tx, order, 2 * step + 1)
        shop.fail(order, job.attempt)
    with job.transaction() as tx:
        shop.store(tx, order)


@actor(STEPS_AS_TASK)
async def take_steps_as_task(order: Order, job: Job) -> None:
    for step in range(job.checkpoint or 0, steps.STEPS):
        async with job.step(step + 1) as tx:
            await tx.run_sync(_write_half, order, 2 * step)
            await asyncio.sleep(order.seconds / steps.STEPS)
            await tx.run_sync(_write_half, order, 2 * step + 1)
        shop.fail(order, job.attempt)
    async with job.transaction() as tx:
        await tx.run_sync(shop.store, order)


def _write_half(session: Session, order: Order, half: int) -> None:
    rows = steps.ROWS // 2
    for row in range(half * rows, (half + 1) * rows):
        shop.write(session, steps.row_key(order.key, row))


ACTORS = (take_steps, take_steps_as_task)
