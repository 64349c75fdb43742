"""The client library's limit: a bare SelectConnection that publishes with pipelined confirms.

`python -m bench.systems.pika COUNT` prints how many messages a second were confirmed.
"""

import json
import os
import sys
import time
from uuid import uuid4

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.frame import Method
from pika.spec import Basic, Queue

from outbox.amqp import messages, topology
from outbox.amqp.connection import parameters
from outbox.amqp.messages import Dispatch

QUEUE = "bench.pika"
UNCONFIRMED = 1000
"""How many are on their way at once, as many as Duly's relay has."""


class Publisher:
    """Publishes the same bodies to the same sort of queue as the relay does."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._sent = self._confirmed = 0
        self._bodies = [_body() for _ in range(count)]
        self.rate = 0.0
        (node,) = parameters(os.environ["AMQP_URL"])
        self.connection = SelectConnection(node, on_open_callback=self._opened)

    def _opened(self, connection: SelectConnection) -> None:
        connection.channel(on_open_callback=self._has_channel)

    def _has_channel(self, channel: Channel) -> None:
        self._channel = channel
        channel.confirm_delivery(self._on_confirm)
        channel.queue_declare(
            QUEUE, durable=True, arguments=topology.work_queue(QUEUE), callback=self._begin
        )

    def _begin(self, _: Method[Queue.DeclareOk]) -> None:
        self._started = time.monotonic()
        self._fill()

    def _fill(self) -> None:
        while self._sent < min(self._confirmed + UNCONFIRMED, self._count):
            message_id, body = self._bodies[self._sent]
            self._sent += 1
            properties = pika.BasicProperties(  # type: ignore[no-untyped-call]
                content_type="application/json", delivery_mode=2, message_id=message_id
            )
            self._channel.basic_publish("", QUEUE, body, properties, mandatory=True)

    def _on_confirm(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        assert isinstance(frame.method, Basic.Ack), "the broker takes no messages"
        tag = frame.method.delivery_tag
        self._confirmed = tag if frame.method.multiple else self._confirmed + 1
        if self._confirmed == self._count:
            self.rate = self._count / (time.monotonic() - self._started)
            self.connection.ioloop.stop()
        elif self._sent - self._confirmed < UNCONFIRMED // 2:
            self._fill()


def _body() -> tuple[str, bytes]:
    dispatch = Dispatch(str(uuid4()), 1, "bench.nothing", QUEUE)
    return dispatch.message_id, messages.encode(dispatch)


if __name__ == "__main__":
    publisher = Publisher(int(sys.argv[1]))
    publisher.connection.ioloop.start()
    json.dump(publisher.rate, sys.stdout)
