"""Celery on RabbitMQ with its default settings: commit, then `delay`."""

import os

from celery import Celery, Task
from fastapi import FastAPI
from sqlalchemy.orm import Session

from tests.compare.systems import shop
from tests.compare.systems.shop import NewOrder, Order, check, engine

celery = Celery("shop", broker=os.environ["AMQP_URL"])
app = FastAPI()


@celery.task(bind=True)
def give_receipt(self: Task, order_id: int) -> None:
    shop.give_receipt(order_id, key=self.request.id)


@app.post("/orders", status_code=201)
def place(order: NewOrder) -> None:
    with Session(engine) as session, session.begin():
        session.add(Order(id=order.id))
    give_receipt.delay(order.id)


@app.post("/orders/checked", status_code=201)
def place_and_check(order: NewOrder) -> None:
    with Session(engine) as session, session.begin():
        session.add(Order(id=order.id))
        give_receipt.delay(order.id)
        check(order)
