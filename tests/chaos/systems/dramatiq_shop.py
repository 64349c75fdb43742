"""Dramatiq on RabbitMQ, as its guide shows it: commit, then `send`.

`confirm_delivery=True`, which is not the default, makes `send` return when RabbitMQ has the
message. Late acknowledgement, retries with backoff and a dead-letter queue are how it works
anyway. CurrentMessage only tells an actor which attempt it is.
"""

import os
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import CurrentMessage
from fastapi import FastAPI
from sqlalchemy.orm import Session

from tests.chaos import shop, terms
from tests.chaos.orders import Order, Sort

RETRY: dict[str, Any] = {
    "max_retries": terms.ATTEMPTS - 1,
    "min_backoff": terms.FIRST_BACKOFF_SECONDS * 1000,
    "max_backoff": terms.LONGEST_PAUSE_SECONDS * 1000,
}

broker = RabbitmqBroker(url=os.environ["AMQP_URL"], confirm_delivery=True)
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)
app = FastAPI()


@app.post("/orders", status_code=201)
def place(order: Order) -> None:
    with Session(shop.engine) as session, session.begin():
        shop.keep(session, order)
    job = call if order.sort is Sort.CALL else fulfil
    job.send(order.model_dump(mode="json"))


@dramatiq.actor(queue_name="orders", **RETRY)
def fulfil(payload: dict[str, object]) -> None:
    order = Order.model_validate(payload)
    shop.work(order, _message().options.get("retries", 0) + 1)
    with Session(shop.engine) as session, session.begin():
        shop.store(session, order)
    if order.sort is Sort.CHAIN:
        call.send(payload)


@dramatiq.actor(queue_name="orders", **RETRY)
def call(payload: dict[str, object]) -> None:
    shop.call(Order.model_validate(payload), _message().message_id)


def _message() -> dramatiq.Message[None]:
    message = CurrentMessage.get_current_message()
    assert message is not None
    return message
