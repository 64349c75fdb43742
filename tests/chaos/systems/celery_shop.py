"""Celery on RabbitMQ, as its guide shows it with FastAPI: commit, then `delay`.

Settings, each the safest that its documentation knows:

- `task_acks_late` and `task_reject_on_worker_lost`: a task whose worker dies is delivered again.
- `confirm_publish`: `delay` returns when RabbitMQ has the message.
- Quorum queues, behind a topic exchange so that retries wait in RabbitMQ (native delayed delivery)
  and not in a worker's memory.
- `task_acks_on_failure=False` and a dead-letter queue: what failed for good stays somewhere.
- `worker_cancel_long_running_tasks_on_connection_loss`: a task that will be delivered again does
  not go on meanwhile; the default from Celery 6 on.
- Connections and publishing are tried again for longer than by default; nothing is prefetched.
- No result backend: the orders' rows are the results.
"""

import os

from celery import Celery, Task, bootsteps
from celery.worker.consumer import Consumer
from fastapi import FastAPI
from kombu.entity import Exchange, Queue
from sqlalchemy.orm import Session

from tests.chaos import shop, terms
from tests.chaos.orders import Order, Sort

DEAD_LETTERS = "orders.dead"
RETRY = {
    "autoretry_for": (Exception,),
    "max_retries": terms.ATTEMPTS - 1,
    "retry_backoff": terms.FIRST_BACKOFF_SECONDS,
    "retry_backoff_max": terms.LONGEST_PAUSE_SECONDS,
}

celery = Celery("orders", broker=os.environ["AMQP_URL"])
celery.conf.update(
    task_queues=[
        Queue(
            "orders",
            Exchange("orders", type="topic"),
            routing_key="orders",
            queue_arguments={
                "x-queue-type": "quorum",
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": DEAD_LETTERS,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
    ],
    task_default_queue="orders",
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_acks_on_failure=False,
    task_ignore_result=True,
    task_publish_retry_policy={"max_retries": 10, "interval_step": 0.5, "interval_max": 2},
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_heartbeat=15,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_prefetch_multiplier=1,
)
app = FastAPI()


class DeadLetterQueue(bootsteps.StartStopStep):
    """Declares it whenever a worker connects."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, consumer: Consumer) -> None:
        queue = Queue(DEAD_LETTERS, queue_arguments={"x-queue-type": "quorum"})
        queue.bind(consumer.connection.default_channel).declare()


celery.steps["consumer"].add(DeadLetterQueue)


@app.post("/orders", status_code=201)
def place(order: Order) -> None:
    with Session(shop.engine) as session, session.begin():
        shop.keep(session, order)
    job = call if order.sort is Sort.CALL else fulfil
    job.delay(order.model_dump(mode="json"))


@celery.task(bind=True, **RETRY)
def fulfil(self: Task, payload: dict[str, object]) -> None:
    order = Order.model_validate(payload)
    shop.work(order, self.request.retries + 1)
    with Session(shop.engine) as session, session.begin():
        shop.store(session, order)
    if order.sort is Sort.CHAIN:
        call.delay(payload)


@celery.task(bind=True, **RETRY)
def call(self: Task, payload: dict[str, object]) -> None:
    shop.call(Order.model_validate(payload), self.request.id)
