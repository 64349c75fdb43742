"""Right uses of the library's public names: neither checker reports anything here."""

from datetime import timedelta
from typing import assert_type
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from outbox import (
    Actors,
    Duly,
    Job,
    Kind,
    Kinds,
    Priority,
    Retry,
    Snooze,
    SubmittedJob,
    Uncertain,
    Work,
    actor,
    events,
    submit,
    submit_all,
)
from outbox.settings import Settings
from outbox.testing import WaitingJob, drain, run, submitted


class NoAddress(Exception):
    """Another attempt would not help."""


class ShipOrder(BaseModel):
    """A payload with a default."""

    order_id: int
    note: str = ""


class Remind(BaseModel):
    """A payload of another kind."""

    customer_id: UUID


SHIP_ORDER = Kind(
    "order.ship",
    ShipOrder,
    queue="shipping",
    priority=Priority.HIGH,
    time_limit=timedelta(minutes=1),
    retry=Retry(attempts=3, never=(NoAddress,)),
    sensitive=("note",),
)
REMIND = Kind("customer.remind", Remind)

assert_type(SHIP_ORDER.model, type[ShipOrder])
assert_type(SHIP_ORDER(order_id=1), Work[ShipOrder])
assert_type(SHIP_ORDER(order_id=1, note="fragile").payload, ShipOrder)
assert_type(SHIP_ORDER.parse({"order_id": 1}), Work[ShipOrder])


@actor(SHIP_ORDER)
def ship(work: ShipOrder, job: Job) -> dict[str, int]:
    """An actor with a result."""
    if not work.note:
        raise Snooze(timedelta(minutes=1))
    with job.transaction() as session:
        assert_type(session, Session)
        assert_type(submit(session, REMIND(customer_id=job.id)), SubmittedJob)
    return {"order": work.order_id}


@actor(REMIND)
def remind(work: Remind, job: Job) -> None:
    """An actor without a result."""
    raise Uncertain(f"{work.customer_id}: {job.attempt}")


def several(session: Session) -> list[SubmittedJob]:
    """Jobs of several kinds at once."""
    return submit_all(session, [SHIP_ORDER(order_id=1), REMIND(customer_id=UUID(int=0))])


@actor(REMIND)
async def remind_async(work: Remind, job: Job) -> None:
    """An actor for the event loop."""
    raise Uncertain(f"{work.customer_id}: {job.attempt}")


def tests(session: Session, engine: Engine) -> None:
    """The helpers of a test."""
    assert_type(submitted(session), list[WaitingJob])
    run(ship, ShipOrder(order_id=1), session)
    run(ship, ShipOrder(order_id=1), engine)
    assert [job.state for job in drain([ship, remind_async], engine)] == ["succeeded"]


async def async_tests(session: AsyncSession) -> None:
    """The same in an async app."""
    await run(remind_async, Remind(customer_id=UUID(int=0)), session)
    assert_type(submitted(session), list[WaitingJob])


class ShopSettings(Settings):
    """The library's settings, and one more."""

    pager: str = ""


def settings() -> ShopSettings:
    """All arguments come from the environment."""
    return ShopSettings()


def tell(event: events.Died) -> None:
    """A subscriber."""
    assert_type(event.job_id, UUID)


events.on(events.Died, tell)
duly = Duly(Kinds(SHIP_ORDER, REMIND), actors=Actors([ship, remind]), settings=settings)
