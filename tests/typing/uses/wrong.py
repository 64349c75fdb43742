"""Wrong uses: each comment has the errors of mypy and of pyright for its line."""

from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from outbox import Actors, Job, Kind, Kinds, Retry, actor, events, submit, submit_all
from outbox.testing import run


class ShipOrder(BaseModel):
    order_id: int
    note: str = ""


class Remind(BaseModel):
    customer_id: UUID


class NoModel:
    pass


SHIP_ORDER = Kind("order.ship", ShipOrder)
REMIND = Kind("customer.remind", Remind)

Kind("order.ship", NoModel)  # type-var, reportArgumentType
Kind("order.ship", ShipOrder, sensitive="note")  # arg-type, reportArgumentType
Kind("order.ship", ShipOrder, retry=3)  # arg-type, reportArgumentType
Kinds(ShipOrder)  # arg-type, reportArgumentType
Retry(never=ValueError)  # arg-type, reportArgumentType

SHIP_ORDER()  # call-arg, reportCallIssue
SHIP_ORDER(order_id="1")  # arg-type, reportArgumentType
SHIP_ORDER(order_id=1, notes="")  # call-arg, reportCallIssue
SHIP_ORDER(1)  # call-arg, reportCallIssue
SHIP_ORDER(order_id=1).payload.customer_id  # attr-defined, reportAttributeAccessIssue


@actor(SHIP_ORDER)  # arg-type, reportArgumentType
def remind(work: Remind, job: Job) -> None:
    pass


@actor(REMIND)  # arg-type, reportArgumentType
def without_job(work: Remind) -> None:
    pass


@actor(REMIND)
def right(work: Remind, job: Job) -> None:
    job.atempt  # attr-defined, reportAttributeAccessIssue
    work.order_id  # attr-defined, reportAttributeAccessIssue


Actors(right)  # arg-type, reportArgumentType


def about_replays(event: events.Replayed) -> None:
    pass


def handler(session: Session) -> None:
    submit(session, ShipOrder(order_id=1))  # arg-type, reportArgumentType
    submit(session, SHIP_ORDER)  # arg-type, reportArgumentType
    submit_all(session, SHIP_ORDER(order_id=1))  # arg-type, reportArgumentType
    events.on(events.Died, about_replays)  # arg-type, reportArgumentType
    submit("postgresql://", SHIP_ORDER(order_id=1))  # arg-type, reportArgumentType
    run(right, ShipOrder(order_id=1), session)  # misc, reportArgumentType


async def async_handler(session: AsyncSession) -> None:
    await submit(session, SHIP_ORDER(order_id=1))  # misc, reportGeneralTypeIssues
