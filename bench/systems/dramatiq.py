"""Dramatiq with publisher confirms, which its documentation recommends for durability.

It has no way to send many at once: a bulk is as many calls. `BENCH_UNCONFIRMED=1` is for filling a
queue, of which nothing is measured.
"""

import os
from collections.abc import Sequence

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from bench.systems.shop import commit_order
from bench.tally import mark

QUEUE = "bench.dramatiq"
CONFIRMS = not os.environ.get("BENCH_UNCONFIRMED")

dramatiq.set_broker(RabbitmqBroker(url=os.environ["AMQP_URL"], confirm_delivery=CONFIRMS))


@dramatiq.actor(queue_name=QUEUE)
def nothing(number: int) -> None:
    """Marks the tally."""
    mark(number)


def hand_in(numbers: Sequence[int]) -> None:
    """Commit the order; then send each."""
    commit_order()
    for number in numbers:
        nothing.send(number)
