"""Celery with publisher confirms, late acknowledgement and a quorum queue.

`BENCH_RESULTS=1` adds its database result backend, so that, as in Duly, what became of each task
is on record. Its bulk way is a group. A worker prefetches as many tasks as suits short ones: the
documentation recommends more than the default of 4 for those. `BENCH_UNCONFIRMED=1` is for filling
a queue, of which nothing is measured.
"""

import os
from collections.abc import Sequence

from celery import Celery, group
from kombu.entity import Queue

from bench.systems.shop import commit_order
from bench.tally import mark

QUEUE = "bench.celery"
RESULTS = os.environ.get("BENCH_RESULTS")
CONFIRMS = not os.environ.get("BENCH_UNCONFIRMED")

app = Celery(
    "bench",
    broker=os.environ["AMQP_URL"],
    backend="db+" + os.environ["DATABASE_URL"].replace("://", "+psycopg://") if RESULTS else None,
)
app.conf.update(
    task_queues=[Queue(QUEUE, routing_key=QUEUE, queue_arguments={"x-queue-type": "quorum"})],
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=not RESULTS,
    broker_transport_options={"confirm_publish": CONFIRMS},
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=64,
)


@app.task
def nothing(number: int) -> None:
    """Marks the tally."""
    mark(number)


def hand_in(numbers: Sequence[int]) -> None:
    """Commit the order; then `delay` one, or a group of many."""
    commit_order()
    if len(numbers) == 1:
        nothing.delay(numbers[0])
    else:
        group(nothing.s(number) for number in numbers).apply_async()
