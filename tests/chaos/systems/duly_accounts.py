"""The orders of Duly's app that have accounts: limited, one after the other, and one for many."""

import asyncio
from collections.abc import Callable
from functools import partial
from secrets import token_hex

from sqlalchemy.orm import Session

from outbox import Job, actor, flush_jobs, submit
from tests.chaos import accounts, shop
from tests.chaos.orders import Order
from tests.chaos.systems.duly_kinds import (
    DEBOUNCED,
    LIMITED,
    LIMITED_AS_TASK,
    ONCE,
    ORDERED,
    UNIQUE,
    work_of,
)

NAPS_BETWEEN_SIGNS = 10


def place(session: Session, order: Order) -> None:
    """Submit its job, or find that there is one, and leave the wish with it."""
    job = submit(session, work_of(order), subject=order.key)
    flush_jobs(session)
    accounts.wish(session, order, job.id)


def _run(order: Order, job: Job, effect: Callable[[Session, Order], None]) -> None:
    """Sign all the while, and have the effect in the end."""
    sign = partial(accounts.sign, run=token_hex(8), job=job.id, order=order)
    with job.step(0) as tx:
        sign(tx)
    for nap, _ in shop.naps(order.seconds):
        if nap and nap % NAPS_BETWEEN_SIGNS == 0:
            with job.step(nap) as tx:
                sign(tx)
    shop.fail(order, job.attempt)
    with job.transaction() as tx:
        effect(tx, order)
        sign(tx, is_end=True)


@actor(LIMITED)
def limited(order: Order, job: Job) -> None:
    _run(order, job, shop.store)


@actor(ORDERED)
def ordered(order: Order, job: Job) -> None:
    _run(order, job, shop.store)


@actor(UNIQUE)
def unique(order: Order, job: Job) -> None:
    _run(order, job, accounts.fulfil)


@actor(DEBOUNCED)
def debounced(order: Order, job: Job) -> None:
    _run(order, job, accounts.fulfil)


@actor(ONCE)
def once(order: Order, job: Job) -> None:
    _run(order, job, _nothing)


@actor(LIMITED_AS_TASK)
async def limited_as_task(order: Order, job: Job) -> None:
    def sign(session: Session, *, is_end: bool = False) -> None:
        accounts.sign(session, run, job.id, order, is_end=is_end)

    run, seconds = token_hex(8), NAPS_BETWEEN_SIGNS * shop.NAP_SECONDS
    for number in range(round(order.seconds / seconds)):
        async with job.step(number) as tx:
            await tx.run_sync(sign)
        await asyncio.sleep(seconds)
    shop.fail(order, job.attempt)
    async with job.transaction() as tx:
        await tx.run_sync(shop.store, order)
        await tx.run_sync(partial(sign, is_end=True))


def _nothing(_session: Session, _order: Order) -> None:
    """That it ran is all."""


ACTORS = (limited, limited_as_task, ordered, unique, debounced, once)
