"""Asks RabbitMQ whether it is up, and how deep its queues are."""

import logging
from collections.abc import Iterable

from pika.adapters.blocking_connection import BlockingConnection
from pika.exceptions import ChannelClosedByBroker

from outbox.amqp.connection import BrokerGone, look

TIMEOUT_SECONDS = 3.0


class Unreachable(Exception):
    """RabbitMQ cannot be reached, or does not answer; the text says why."""


def depths(amqp_url: str, queues: Iterable[str]) -> dict[str, int | None]:
    """The number of messages ready in each queue; None if the queue does not exist yet.

    Raises Unreachable, after a few seconds at most.
    """
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # it also logs each error that it raises
    try:
        with look(amqp_url, TIMEOUT_SECONDS) as connection:
            return {queue: _depth(connection, queue) for queue in queues}
    except BrokerGone as error:
        raise Unreachable(str(error).partition("\n")[0]) from None


def _depth(connection: BlockingConnection, queue: str) -> int | None:
    channel = connection.channel()
    try:
        count: int = channel.queue_declare(queue, passive=True).method.message_count
    except ChannelClosedByBroker:
        return None
    channel.close()
    return count
