"""Receives what lies in one dead-letter queue."""

import asyncio
from dataclasses import dataclass
from typing import Any

from pika import BasicProperties
from pika.channel import Channel as PikaChannel
from pika.spec import Basic

from outbox import topology
from outbox.channel import Channel

PREFETCH = 10
"""Messages of each queue that are in memory at once: somebody else's may be large."""
MOST_PUT_OFF = 1000
LARGEST_PUT_OFF = 64 * 1024 * 1024
"""Bytes of bodies. A queue with more messages that the tables refuse waits until they take some."""
AGAIN_SECONDS = 5.0
"""How soon a message that was put off is the next again, where few are."""
AGAIN_PER_SECOND = 20
"""How many are tried again where many are: the others need the time."""

CAUSES = ("rejected", "expired", "maxlen", "delivery_limit")
"""What RabbitMQ says in `x-death`. Whoever puts a message there by hand may write anything."""


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message as it lay in a `.XQ`."""

    queue: str
    body: bytes
    headers: dict[str, Any]
    intake: "Intake"
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
        self.intake.acknowledge(self)

    def put_off(self) -> None:
        """Let it be among the next in a while; it stays unacknowledged and keeps none waiting."""
        self.intake.put_off(self)


class Intake:
    """The `.XQ` of one queue, which is consumed over a channel of its own."""

    def __init__(self, queue: str, channel: Channel, inbox: asyncio.Queue[DeadMessage]) -> None:
        self._queue = queue
        self._channel = channel
        self._inbox = inbox
        self._put_off: dict[int, int] = {}
        """Tag and size of each message that was put off, and is not acknowledged."""
        self._newest_before = 0
        """The newest tag among them when the consumer of now began."""

    @property
    def is_open(self) -> bool:
        """Whether its messages can be acknowledged."""
        return self._channel.is_open

    async def begin(self) -> None:
        """Receive messages, up to `PREFETCH` at once. Raises Refused and BrokerGone."""
        name = topology.dead_letter_queue(self._queue)
        self._newest_before = max(self._put_off, default=0)
        await self._channel.consume(name, self._receive, prefetch=PREFETCH)

    async def go_on(self) -> None:
        """Begin anew where only what was put off is received. Raises Refused and BrokerGone.

        RabbitMQ changes the prefetch of no consumer, but each has its own. Nothing is given back:
        a queue that somebody else declared may drop what is given back too often.
        """
        self._channel.check()
        if self._is_used_up() and self._has_room():
            await self.begin()

    def acknowledge(self, message: DeadMessage) -> None:
        """As `DeadMessage.acknowledge`."""
        self._put_off.pop(message.tag, None)
        if self.is_open:
            self._channel.pika.basic_ack(message.tag)

    def put_off(self, message: DeadMessage) -> None:
        """As `DeadMessage.put_off`."""
        self._put_off[message.tag] = len(message.body)
        pause = max(AGAIN_SECONDS, len(self._put_off) / AGAIN_PER_SECOND)
        asyncio.get_running_loop().call_later(pause, self._inbox.put_nowait, message)

    def _receive(
        self, _: PikaChannel, deliver: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        headers = properties.headers or {}
        message = DeadMessage(self._queue, body, headers, self, deliver.delivery_tag)
        self._inbox.put_nowait(message)

    def _is_used_up(self) -> bool:
        """Whether all that the consumer may receive at once is put off."""
        if len(self._put_off) < PREFETCH:
            return False
        return sum(tag > self._newest_before for tag in self._put_off) >= PREFETCH

    def _has_room(self) -> bool:
        return len(self._put_off) < MOST_PUT_OFF and sum(self._put_off.values()) < LARGEST_PUT_OFF
