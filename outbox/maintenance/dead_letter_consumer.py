"""Consumes one dead-letter queue."""

import asyncio
from dataclasses import dataclass
from typing import Any

from pika import BasicProperties
from pika.channel import Channel as PikaChannel
from pika.spec import Basic

from outbox.amqp import topology
from outbox.amqp.channel import Channel

PREFETCH = 10
"""Messages of each queue that are in memory at once. Foreign ones may be large."""
MOST_DEFERRED = 1000
MOST_DEFERRED_BYTES = 64 * 1024 * 1024
"""Bytes of bodies. A queue with more deferred messages waits until the tables take some."""
RETRY_SECONDS = 5.0
"""The shortest retry delay of a deferred message."""
RETRIES_PER_SECOND = 20
"""The most retries a second while many messages are deferred: new ones need the time."""

CAUSES = ("rejected", "expired", "maxlen", "delivery_limit")
"""RabbitMQ's reasons in `x-death`. Whoever puts a message there by hand may write anything."""


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message from a `.XQ`, not yet acknowledged."""

    queue: str
    body: bytes
    headers: dict[str, Any]
    consumer: "DeadLetterConsumer"
    tag: int

    @property
    def cause(self) -> str:
        """Why RabbitMQ dead-lettered it: one of `CAUSES`, or "unknown"."""
        match self.headers.get("x-death"):
            case [{"reason": str(reason)}, *_] if reason in CAUSES:
                return reason
        return "unknown"  # it was put there by hand

    def acknowledge(self) -> None:
        """Take it out of its queue; if its channel has closed meanwhile, it is delivered again."""
        self.consumer.acknowledge(self)

    def defer(self) -> None:
        """Retry it after a delay. It stays unacknowledged, and no other waits for it."""
        self.consumer.defer(self)


class DeadLetterConsumer:
    """The consumer of one queue's `.XQ`, on a channel of its own."""

    def __init__(self, queue: str, channel: Channel, inbox: asyncio.Queue[DeadMessage]) -> None:
        self._queue = queue
        self._channel = channel
        self._inbox = inbox
        self._deferred: dict[int, int] = {}
        """Delivery tag and size of each deferred message that is not acknowledged."""
        self._newest_before = 0
        """The newest of these tags when the current consumer began."""

    @property
    def is_open(self) -> bool:
        """Whether its messages can be acknowledged."""
        return self._channel.is_open

    async def begin(self) -> None:
        """Receive messages, up to `PREFETCH` at once. Raises Refused and BrokerGone."""
        name = topology.dead_letter_queue(self._queue)
        self._newest_before = max(self._deferred, default=0)
        await self._channel.consume(name, self._receive, prefetch=PREFETCH)

    async def renew_if_exhausted(self) -> None:
        """Start a new consumer if the whole prefetch is deferred. Raises Refused and BrokerGone.

        RabbitMQ cannot change a consumer's prefetch, but each new consumer has its own. Nothing is
        requeued: a queue that somebody else declared may drop what is requeued too often.
        """
        self._channel.check()
        if self._is_exhausted() and self._may_defer_more():
            await self.begin()

    def acknowledge(self, message: DeadMessage) -> None:
        """As `DeadMessage.acknowledge`."""
        self._deferred.pop(message.tag, None)
        if self.is_open:
            self._channel.pika.basic_ack(message.tag)

    def defer(self, message: DeadMessage) -> None:
        """As `DeadMessage.defer`."""
        self._deferred[message.tag] = len(message.body)
        delay = max(RETRY_SECONDS, len(self._deferred) / RETRIES_PER_SECOND)
        asyncio.get_running_loop().call_later(delay, self._inbox.put_nowait, message)

    def _receive(
        self, _: PikaChannel, deliver: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        headers = properties.headers or {}
        message = DeadMessage(self._queue, body, headers, self, deliver.delivery_tag)
        self._inbox.put_nowait(message)

    def _is_exhausted(self) -> bool:
        """Whether all that the current consumer may receive at once is deferred."""
        if len(self._deferred) < PREFETCH:
            return False
        return sum(tag > self._newest_before for tag in self._deferred) >= PREFETCH

    def _may_defer_more(self) -> bool:
        return (
            len(self._deferred) < MOST_DEFERRED
            and sum(self._deferred.values()) < MOST_DEFERRED_BYTES
        )
