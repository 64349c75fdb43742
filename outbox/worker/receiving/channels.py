"""Consumes the queues of other services, each on a channel of its own."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from pika import BasicProperties
from pika.channel import Channel as PikaChannel
from pika.spec import Basic

from outbox.amqp.channel import Channel, Refused, open_channel
from outbox.amqp.connection import BrokerConnection
from outbox.amqp.queue_backoff import QueueBackoff
from outbox.worker.receiving.envelope import Received

PREFETCH = 20
"""Messages of each queue that are in memory at once. They may be large."""


class Channels:
    """Consumes queues that must exist. One that does not, or is deleted, backs off; others go on.

    It declares none: their arguments are their owner's.
    """

    def __init__(self, broker: BrokerConnection, queue_backoff: QueueBackoff) -> None:
        self._broker = broker
        self._queue_backoff = queue_backoff
        self._inbox: asyncio.Queue[Received] = asyncio.Queue()
        self._channels: dict[str, Channel] = {}

    async def open(self, queues: Iterable[str]) -> None:
        """Consume these queues, as far as they exist. Raises BrokerGone."""
        for queue in queues:
            if self._queue_backoff.leaves_out(queue):
                continue
            try:
                await self._consume(queue)
            except Refused as why:
                self._channels.pop(queue, None)
                self._queue_backoff.leave_out(queue, str(why))

    async def next(self, seconds: float) -> list[Received]:
        """What has been delivered; none if nothing is within `seconds`. Raises BrokerGone."""
        self._broker.check()
        found: list[Received] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                found.append(await self._inbox.get())
        while not self._inbox.empty():
            found.append(self._inbox.get_nowait())
        return found

    async def _consume(self, queue: str) -> None:
        """Begin to consume, or see that it goes on. Raises Refused and BrokerGone."""
        if queue in self._channels:
            self._channels[queue].check()
            return
        channel = await open_channel(self._broker)

        def receive(
            _: PikaChannel, deliver: Basic.Deliver, properties: BasicProperties, body: bytes
        ) -> None:
            self._inbox.put_nowait(_received(queue, channel, deliver, properties, body))

        await channel.consume(queue, receive, prefetch=PREFETCH)
        self._channels[queue] = channel
        self._queue_backoff.forget(queue)


def _received(
    queue: str, channel: Channel, deliver: Basic.Deliver, properties: BasicProperties, body: bytes
) -> Received:
    def acknowledge() -> None:
        if channel.is_open:
            channel.pika.basic_ack(deliver.delivery_tag)

    given = {name: value for name, value in vars(properties).items() if value is not None}
    return Received(
        queue,
        deliver.exchange or "",
        deliver.routing_key or "",
        given,
        body,
        bool(deliver.redelivered),
        acknowledge,
    )
