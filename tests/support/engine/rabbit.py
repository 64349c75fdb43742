"""The broker as a bystander sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pika

from outbox.amqp import topology
from outbox.amqp.connection import parameters
from tests.support.wait import wait_for


class Rabbit:
    """Looks into queues and puts messages there, on a connection of its own."""

    def __init__(self, amqp_url: str) -> None:
        nodes = parameters(amqp_url)
        for node in nodes:
            node.heartbeat = 0
        self._connection = pika.BlockingConnection(nodes)
        self._channel = self._connection.channel()

    def declare(self, queue: str, **more: object) -> None:
        """Make the queue and its `.XQ`, as relay and worker do, with `more` arguments."""
        consumer = topology.dead_letter_queue(queue)
        arguments = topology.work_queue(queue) | more
        self._channel.queue_declare(queue, durable=True, arguments=arguments)
        self._channel.queue_declare(
            consumer, durable=True, arguments=topology.dead_letter_queue_arguments()
        )

    def declare_classic(self, queue: str) -> None:
        """Make a queue as somebody else would, whom we are in the way of."""
        self._channel.queue_declare(queue, durable=True)

    def declare_exclusive(self, queue: str) -> None:
        """Make a queue that no other connection may use, until this one ends."""
        self._channel.queue_declare(queue, exclusive=True)

    def fill(self, queue: str) -> None:
        """Make the queue, and put so much into it that it takes no more."""
        self.declare(queue, **{"x-max-length": 1})
        for _ in range(2):
            self.publish(queue, b"there before")
        wait_for("both messages", lambda: self.depth(queue) == 2)

    def publish(self, queue: str, body: bytes, headers: dict[str, Any] | None = None) -> None:
        """Put a message into the queue."""
        properties = pika.BasicProperties(headers=headers, delivery_mode=2)  # type: ignore[no-untyped-call]
        self._channel.basic_publish("", queue, body, properties)

    def publish_whole(
        self, exchange: str, routing_key: str, body: bytes, **properties: Any
    ) -> None:
        """Publish as another service does."""
        given = pika.BasicProperties(**properties)  # type: ignore[no-untyped-call]
        self._channel.basic_publish(exchange, routing_key, body, given)

    def depth(self, queue: str) -> int:
        """How many messages wait in the queue, which must exist."""
        count: int = self._channel.queue_declare(queue, passive=True).method.message_count
        return count

    def take_whole(self, queue: str) -> list[tuple[pika.BasicProperties, bytes]]:
        """The same with the properties of each."""
        found: list[tuple[pika.BasicProperties, bytes]] = []
        while True:
            _, properties, body = self._channel.basic_get(queue, auto_ack=True)
            if properties is None or body is None:
                return found
            found.append((properties, body))

    def take(self, queue: str, most: int = 1_000_000) -> list[bytes]:
        """What waits in the queue, oldest first, and leaves it by this."""
        bodies: list[bytes] = []
        while len(bodies) < most:
            method, _, body = self._channel.basic_get(queue, auto_ack=True)
            if method is None or body is None:
                break
            bodies.append(body)
        return bodies

    def purge(self, queue: str) -> None:
        """Delete what waits in the queue, all at once."""
        self._channel.queue_purge(queue)

    def drop_until_dead(self, queue: str) -> None:
        """Take the only message and give it back, until the broker has had enough of it."""
        while not self.depth(topology.dead_letter_queue(queue)):
            method = self._channel.basic_get(queue)[0]
            if method is not None:
                self._channel.basic_nack(method.delivery_tag, requeue=True)

    def refuse(self, queue: str) -> None:
        """Take the oldest message and reject it, as a worker does that cannot take it."""
        method = None
        while method is None:
            method = self._channel.basic_get(queue)[0]
        self._channel.basic_nack(method.delivery_tag, requeue=False)

    @contextmanager
    def exchange(self, queue: str | None = None, *, internal: bool = False) -> Iterator[str]:
        """An exchange, bound to the queue for the routing key `k` if there is one."""
        name = f"t{uuid4().hex[:12]}"
        self._channel.exchange_declare(name, "direct", internal=internal)
        if queue:
            self._channel.queue_bind(queue, name, "k")
        yield name
        self._channel.exchange_delete(name)

    def delete(self, queue: str) -> None:
        """Delete the queue and its `.XQ`, if there are any."""
        for name in (queue, topology.dead_letter_queue(queue)):
            self._channel.queue_delete(name)

    def close(self) -> None:
        """Close the connection, if the broker has not."""
        if self._connection.is_open:
            self._connection.close()
