"""The batches of Duly's app. A callback looks whether it comes too early."""

from sqlalchemy.orm import Session

from outbox import Job, actor, batch, submit_all
from outbox.operations import batches as operations
from tests.chaos import batches, shop
from tests.chaos.orders import Order
from tests.chaos.systems.duly_kinds import (
    DIED,
    MEMBER,
    SETTLED,
    SUCCEEDED,
    Member,
    priority_of,
)


def place(session: Session, order: Order) -> None:
    """Submit the members, and what follows."""
    told = order.model_dump()
    stored = [
        MEMBER(key=order.key, name=name, dies=number < order.failures, seconds=order.seconds)
        for number, name in enumerate(order.stored_members)
    ]
    called = [MEMBER(key=order.key, name=name, is_called=True) for name in order.called_members]
    with batch(
        session,
        subject=order.key,
        on_success=SUCCEEDED(**told),
        on_settled=SETTLED(**told),
        on_first_death=DIED(**told),
    ):
        submit_all(session, stored + called, priority=priority_of(order))


@actor(MEMBER)
def member(work: Member, job: Job) -> None:
    if work.is_called:
        shop.call_for(work.name, str(job.id))
        return
    if work.dies and job.attempt == 1:
        raise shop.Mendable("as it was told to")
    with job.transaction() as tx:
        shop.write(tx, work.name)
        for _ in shop.naps(work.seconds):
            pass


@actor(SUCCEEDED)
def succeeded(order: Order, job: Job) -> None:
    with job.transaction() as tx:
        _look(tx, order, job)
        shop.store(tx, order)


@actor(SETTLED)
def settled(order: Order, job: Job) -> None:
    with job.transaction() as tx:
        _look(tx, order, job)
        shop.write(tx, batches.settled_key(order.key, str(job.id)))


@actor(DIED)
def died(order: Order, job: Job) -> None:
    with job.transaction() as tx:
        shop.write(tx, batches.death_key(order.key, str(job.id)))


def _look(session: Session, order: Order, job: Job) -> None:
    """All members that have succeeded have stored their row before."""
    group = operations.get_of(session, job.id)
    assert group
    if shop.count(session, order.stored_members) < group.succeeded - len(order.called_members):
        shop.write(session, batches.early_key(order.key))


ACTORS = (member, succeeded, settled, died)
