"""Celery on RabbitMQ as its documentation advises for tasks that must not get lost."""

import os

from celery import Celery, Task
from fastapi import FastAPI
from sqlalchemy.orm import Session

from tests.compare.systems import shop
from tests.compare.systems.shop import NewOrder, Order, check, engine

celery = Celery("shop", broker=os.environ["AMQP_URL"])
celery.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_transport_options={"confirm_publish": True},
    task_default_queue="receipts.celery",
)
app = FastAPI()


@celery.task(
    bind=True,
    autoretry_for=(Exception,),
    max_retries=3,
    retry_backoff=True,
    retry_backoff_max=1,
    soft_time_limit=5,
    time_limit=8,
)
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
