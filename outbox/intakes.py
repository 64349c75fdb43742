"""Receives what lies in the dead-letter queues."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pika import BasicProperties
from pika.channel import Channel as PikaChannel
from pika.spec import Basic

from outbox import topology
from outbox.channel import Channel, Refused, ensure, open_channel
from outbox.link import Link
from outbox.pauses import Pauses

PREFETCH = 10
"""Messages of each queue that are in memory at once: somebody else's may be large."""

CAUSES = ("rejected", "expired", "maxlen", "delivery_limit")
"""What RabbitMQ says in `x-death`. Whoever puts a message there by hand may write anything."""
AGAIN_SECONDS = 5.0
"""How soon a message that was put off is the next again."""


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message as it lay in a `.XQ`."""

    queue: str
    body: bytes
    headers: dict[str, Any]
    channel: Channel
    tag: int

    @property
    def cause(self) -> str:
        """Why RabbitMQ dead-lettered it, one of `CAUSES`."""
        match self.headers.get("x-death"):
            case [{"reason": str(reason)}, *_] if reason in CAUSES:
                return reason
        return "unknown"  # it was put there by hand

    def acknowledge(self) -> None:
        """Take it out of its queue; one whose channel has ended meanwhile comes again."""
        if self.channel.is_open:
            self.channel.pika.basic_ack(self.tag)


class Intakes:
    """Consumes the `.XQ` of queues, each over a channel of its own.

    One that the broker refuses, or deletes, is left out for a while; the others go on.
    """

    def __init__(self, link: Link, pauses: Pauses) -> None:
        self._link = link
        self._pauses = pauses
        self._inbox: asyncio.Queue[DeadMessage] = asyncio.Queue()
        self._channels: dict[str, Channel] = {}

    async def open(self, queues: Iterable[str]) -> None:
        """Consume from those of these queues, too. Raises BrokerGone."""
        for queue in list(queues):
            intake = topology.dead_letter_queue(queue)
            if self._pauses.leaves_out(intake):
                continue
            try:
                await self._consume(intake, queue)
            except Refused as why:
                self._channels.pop(intake, None)
                self._pauses.leave_out(intake, str(why))

    async def next(self, seconds: float) -> DeadMessage | None:
        """The next message, or None where none comes for so long. Raises BrokerGone."""
        self._link.check()
        try:
            message = await asyncio.wait_for(self._inbox.get(), seconds)
        except TimeoutError:
            return None
        return message if message.channel.is_open else None

    def put_off(self, message: DeadMessage) -> None:
        """Let the message be among the next in a while; it stays unacknowledged."""
        asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._inbox.put_nowait, message)

    async def _consume(self, intake: str, queue: str) -> None:
        """Begin to, or see that it goes on. Raises Refused."""
        if intake in self._channels:
            self._channels[intake].check()
            return
        await ensure(self._link, intake, topology.dead_letter_intake())
        channel = await open_channel(self._link)

        def receive(
            _: PikaChannel, deliver: Basic.Deliver, properties: BasicProperties, body: bytes
        ) -> None:
            headers = properties.headers or {}
            message = DeadMessage(queue, body, headers, channel, deliver.delivery_tag)
            self._inbox.put_nowait(message)

        await channel.consume(intake, receive, prefetch=PREFETCH)
        self._channels[intake] = channel
        self._pauses.forget(intake)
