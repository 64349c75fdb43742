"""Dramatiq with publisher confirms, which its documentation recommends for durability.

It has no way to send many at once: a bulk is as many calls.
"""

import os
from collections.abc import Sequence

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from bench.tally import mark

QUEUE = "bench.dramatiq"

dramatiq.set_broker(RabbitmqBroker(url=os.environ["AMQP_URL"], confirm_delivery=True))


@dramatiq.actor(queue_name=QUEUE)
def nothing(number: int) -> None:
    """Marks the tally."""
    mark(number)


def hand_in(numbers: Sequence[int]) -> None:
    """Send each."""
    for number in numbers:
        nothing.send(number)
