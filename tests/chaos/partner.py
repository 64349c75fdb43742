"""Another service at the same broker: it hears of orders, and sends its own, each of them twice.

It has no network that breaks, and makes its queues again whenever the broker has lost them.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker

from outbox.amqp.connection import parameters
from tests.chaos.messages import EVENTS, EXCHANGE, FOREIGN
from tests.chaos.orders import Order
from tests.chaos.witness import Witness

PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 20
"""For a broker that takes no messages."""
QUORUM = {"x-queue-type": "quorum"}
COPIES = 2


class Partner:
    """Receives until it is left, and writes down what; sends for any thread."""

    def __init__(self, amqp_url: str, witness: Witness) -> None:
        self._parameters = parameters(amqp_url)
        for node in self._parameters:
            node.heartbeat = 0
            node.blocked_connection_timeout = PATIENCE_SECONDS
        self._witness = witness
        self._lock = threading.Lock()
        self._channel: BlockingChannel | None = None
        self._sent: list[Order] = []
        self._leaving = threading.Event()
        self._has_made = False
        self.has_lost = False
        """Whether the broker has lost its queue, with what was in it."""

    def work(self) -> None:
        """Receive until told to leave."""
        while not self._leaving.is_set():
            with suppress(AMQPError, OSError):
                self._receive()
            self._leaving.wait(PAUSE_SECONDS)

    def leave(self) -> None:
        """Go."""
        self._leaving.set()

    def send(self, order: Order) -> bool:
        """Send the order; whether the broker has confirmed that."""
        with self._lock:
            try:
                for _ in range(COPIES):
                    self._publish(order)
            except (AMQPError, OSError):
                self._close()
                return False
            self._sent.append(order)
        return True

    def send_again(self) -> bool:
        """Send all that was sent, as the broker may have lost any of it; False where it fails."""
        return all(map(self.send, [*self._sent]))

    def _publish(self, order: Order) -> None:
        if self._channel is None:
            self._channel = self._open()
        body = order.model_dump_json().encode()
        properties = pika.BasicProperties(  # type: ignore[no-untyped-call]
            content_type="application/json", message_id=order.key, delivery_mode=2
        )
        self._channel.basic_publish("", FOREIGN, body, properties, mandatory=True)

    def _open(self) -> BlockingChannel:
        channel = pika.BlockingConnection(self._parameters).channel()
        channel.confirm_delivery()
        return channel

    def _close(self) -> None:
        channel, self._channel = self._channel, None
        with suppress(AMQPError, OSError):
            if channel:
                channel.connection.close()

    def _receive(self) -> None:
        with pika.BlockingConnection(self._parameters) as connection:
            self._look_for_queues(connection)
            channel = connection.channel()
            for method, properties, body in channel.consume(EVENTS, inactivity_timeout=0.5):
                if self._leaving.is_set():
                    return
                if method and properties and body:
                    key = json.loads(body)["key"]
                    self._witness.received(key, str(properties.message_id))
                    channel.basic_ack(method.delivery_tag)

    def _look_for_queues(self, connection: pika.BlockingConnection) -> None:
        try:
            connection.channel().queue_declare(EVENTS, passive=True)
        except ChannelClosedByBroker:
            self.has_lost |= self._has_made
        channel = connection.channel()
        for queue in (EVENTS, FOREIGN):
            channel.queue_declare(queue, durable=True, arguments=QUORUM)
        channel.exchange_declare(EXCHANGE, "topic", durable=True)
        channel.queue_bind(EVENTS, EXCHANGE, "order.*")
        self._has_made = True


@contextmanager
def at_work(amqp_url: str, witness: Witness) -> Iterator[Partner]:
    """The other service, which works meanwhile."""
    partner = Partner(amqp_url, witness)
    thread = threading.Thread(target=partner.work)
    thread.start()
    try:
        yield partner
    finally:
        partner.leave()
        thread.join()
