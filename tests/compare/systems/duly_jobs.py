"""Duly: the job is submitted in the transaction of the order."""

from datetime import timedelta

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy.orm import Session

from outbox import Actors, Duly, Job, Kind, Kinds, Retry, actor, submit
from tests.compare.systems.shop import NewOrder, Order, check, engine, give_receipt_async


class Receipt(BaseModel):
    order_id: int


GIVE_RECEIPT = Kind(
    "receipt.give",
    Receipt,
    queue="receipts",
    time_limit=timedelta(seconds=5),
    retry=Retry(attempts=4, first=timedelta(seconds=0.5), longest=timedelta(seconds=1)),
)
duly = Duly(Kinds(GIVE_RECEIPT), actors="tests.compare.systems.duly_jobs:ACTORS")
app = FastAPI()


@actor(GIVE_RECEIPT)
async def give_receipt(work: Receipt, job: Job) -> None:
    await give_receipt_async(work.order_id, key=str(job.id))


ACTORS = Actors([give_receipt])


@app.post("/orders", status_code=201)
def place(order: NewOrder) -> None:
    with Session(engine) as session, session.begin():
        session.add(Order(id=order.id))
        submit(session, GIVE_RECEIPT(order_id=order.id), subject=f"order:{order.id}")


@app.post("/orders/checked", status_code=201)
def place_and_check(order: NewOrder) -> None:
    with Session(engine) as session, session.begin():
        session.add(Order(id=order.id))
        submit(session, GIVE_RECEIPT(order_id=order.id), subject=f"order:{order.id}")
        check(order)
