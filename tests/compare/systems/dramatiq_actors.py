"""Dramatiq on RabbitMQ with its default settings, but short pauses and a time limit: `send`."""

import os

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import CurrentMessage
from fastapi import FastAPI
from sqlalchemy.orm import Session

from tests.compare.systems import shop
from tests.compare.systems.shop import NewOrder, Order, check, engine

broker = RabbitmqBroker(url=os.environ["AMQP_URL"])
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)
app = FastAPI()


@dramatiq.actor(max_retries=3, min_backoff=500, max_backoff=1000, time_limit=5000)
def give_receipt(order_id: int) -> None:
    message = CurrentMessage.get_current_message()
    assert message is not None
    shop.give_receipt(order_id, key=message.message_id)


@app.post("/orders", status_code=201)
def place(order: NewOrder) -> None:
    with Session(engine) as session, session.begin():
        session.add(Order(id=order.id))
    give_receipt.send(order.id)


@app.post("/orders/checked", status_code=201)
def place_and_check(order: NewOrder) -> None:
    with Session(engine) as session, session.begin():
        session.add(Order(id=order.id))
        give_receipt.send(order.id)
        check(order)
