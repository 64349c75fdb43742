"""Consumes the dead-letter queues."""

import asyncio
from collections.abc import Iterable

from outbox.amqp import topology
from outbox.amqp.channel import Refused, ensure, open_channel
from outbox.amqp.connection import BrokerConnection
from outbox.amqp.queue_backoff import QueueBackoff
from outbox.maintenance.dead_letter_consumer import DeadLetterConsumer, DeadMessage


class DeadLetterConsumers:
    """Consumes the `.XQ` of each queue, on a channel of its own.

    One that the broker refuses or deletes backs off; the others go on.
    """

    def __init__(self, broker: BrokerConnection, queue_backoff: QueueBackoff) -> None:
        self._broker = broker
        self._queue_backoff = queue_backoff
        self._inbox: asyncio.Queue[DeadMessage] = asyncio.Queue()
        self._consumers: dict[str, DeadLetterConsumer] = {}

    async def open(self, queues: Iterable[str]) -> None:
        """Consume from the `.XQ` of these queues, too. Raises BrokerGone."""
        for queue in list(queues):
            name = topology.dead_letter_queue(queue)
            if self._queue_backoff.leaves_out(name):
                continue
            try:
                await self._consume(name, queue)
            except Refused as why:
                self._consumers.pop(name, None)
                self._queue_backoff.leave_out(name, str(why))

    async def next(self, seconds: float) -> DeadMessage | None:
        """The next message, or None if none arrives within `seconds`. Raises BrokerGone."""
        self._broker.check()
        try:
            async with asyncio.timeout(seconds):
                message = await self._inbox.get()
        except TimeoutError:
            return None
        return message if message.consumer.is_open else None

    async def _consume(self, name: str, queue: str) -> None:
        """Start a consumer, or see that it goes on. Raises Refused and BrokerGone."""
        if name in self._consumers:
            await self._consumers[name].renew_if_exhausted()
            return
        await ensure(self._broker, name, topology.dead_letter_queue_arguments())
        consumer = DeadLetterConsumer(queue, await open_channel(self._broker), self._inbox)
        await consumer.begin()
        self._consumers[name] = consumer
        self._queue_backoff.forget(name)
