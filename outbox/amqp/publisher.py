"""Publishes batches to RabbitMQ with pipelined confirms, and tracks the outcome of each message.

`M` is what a message is made from: a job's dispatch, or a message for another service.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import pika
from pika.channel import Channel as PikaChannel
from pika.frame import Method
from pika.spec import Basic

from outbox.amqp.channel import Channel, open_channel
from outbox.amqp.connection import BrokerConnection

CONFIRM_TIMEOUT_SECONDS = 15

UNANSWERED, ACKED, NACKED = 0, 1, 2
"""The broker's answer to a message."""


class Message(Protocol):
    """What a message is made from."""

    @property
    def message_id(self) -> str:
        """By it a message is recognised that the broker returns."""


M = TypeVar("M", bound=Message)


@dataclass(slots=True)
class Outcome(Generic[M]):
    """What became of a batch. A message in none of the lists is unknown: publish it again."""

    confirmed: list[M] = field(default_factory=list)
    refused: list[M] = field(default_factory=list)
    """The broker has no queue for it."""
    nacked: list[M] = field(default_factory=list)
    """The queue accepts no messages now; the message is not at fault."""


class Sending(Generic[M]):
    """A batch that was sent, and the broker's answers to it so far."""

    def __init__(self, stream: "_Stream[M]", first_tag: int, messages: Sequence[M]) -> None:
        self.stream = stream
        self._first_tag = first_tag
        self.messages = messages
        self._answers = bytearray(len(messages))
        self._unknown = len(messages)
        self._loop = asyncio.get_running_loop()
        self._began = self._ended_at = self._loop.time()
        self._deadline = self._began + CONFIRM_TIMEOUT_SECONDS
        self._ended: asyncio.Future[None] = self._loop.create_future()
        if not messages:
            self._end()

    @property
    def is_complete(self) -> bool:
        """Whether the broker has answered every message."""
        return not self._unknown

    @property
    def seconds(self) -> float:
        """From its sending to the last answer that was waited for."""
        return self._ended_at - self._began

    def record(self, tags: range, answer: int) -> None:
        """Record the answer for those of the delivery tags that this batch still waits for."""
        for position in _overlap(tags, self._first_tag, len(self._answers)):
            if not self._answers[position]:
                self._answers[position] = answer
                self._unknown -= 1
        if not self._unknown:
            self._end()

    def answered(self, answer: int) -> list[M]:
        """The messages that the broker has given this answer."""
        pairs = zip(self.messages, self._answers, strict=True)
        return [message for message, given in pairs if given == answer]

    async def end(self, *causes: "asyncio.Future[str]") -> None:
        """Wait until the batch is complete, one of the causes is done, or the deadline passes.

        asyncio.wait would cost one more future and one more turn of the loop for each batch.
        """
        timer = self._loop.call_at(self._deadline, self._end)
        for cause in causes:
            cause.add_done_callback(self._end)
        try:
            await self._ended
        finally:
            timer.cancel()
            for cause in causes:
                cause.remove_done_callback(self._end)

    def _end(self, _: object = None) -> None:
        if not self._ended.done():
            self._ended_at = self._loop.time()
            self._ended.set_result(None)


def _overlap(tags: range, first_tag: int, count: int) -> range:
    """The positions of the tags in a batch of `count` messages that begins with `first_tag`."""
    return range(max(tags.start - first_tag, 0), min(tags.stop - first_tag, count))


class Publisher(Generic[M]):
    """Sends batches over a channel of the connection; several may be in flight.

    Every message is mandatory and persistent. The broker acknowledges even what it could not
    route, after returning it, so a returned message counts as refused. After a nack, the next batch
    goes over a new channel. RabbitMQ 3.10 may nack everything for a queue on a channel that was
    opened before the queue's new leader was known, for as long as the channel lives.

    `encode` makes a message's frames for the channel of this number.
    """

    def __init__(self, connection: BrokerConnection, encode: Callable[[int, M], bytes]) -> None:
        self._link = connection
        self._encode = encode
        self._stream: _Stream[M] | None = None

    async def send(self, messages: Sequence[M]) -> Sending[M]:
        """Write all messages without waiting for confirms; ask for the `outcome` of each Sending.

        Raises BrokerGone if the connection was lost before.
        """
        stream = await self._open_stream()
        self._write(stream, messages)
        return stream.register(messages)

    async def outcome(self, sending: Sending[M]) -> Outcome[M]:
        """Wait for the broker's answer to each message.

        Returns early, with what is known, if the connection is lost. Otherwise waits until
        CONFIRM_TIMEOUT_SECONDS after the sending. Then it gives the connection up, unless the
        broker has said that it blocks publishers.
        """
        stream, refused = sending.stream, sending.stream.channel.refused
        await sending.end(refused, self._link.lost)
        if not sending.is_complete and self._link.unblocked.is_set():
            self._link.lose(refused.result() if refused.done() else "it confirms nothing")
        return stream.settle(sending)

    def close(self) -> None:
        """Close the channel; the fate of what the broker did not confirm is unknown."""
        if self._stream is not None:
            self._stream.channel.close()

    async def _open_stream(self) -> "_Stream[M]":
        self._link.check()
        if self._stream is None or not self._stream.is_sound:
            self._stream = _Stream(await open_channel(self._link))
        return self._stream

    def _write(self, stream: "_Stream[M]", messages: Sequence[M]) -> None:
        if not messages:
            return
        channel = stream.channel.pika.channel_number
        self._link.write(b"".join(self._encode(channel, each) for each in messages))


class _Stream(Generic[M]):
    """Matches a channel's confirms with the batches sent over it."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._sent = self._last_multiple = 0
        self._in_flight: list[Sending[M]] = []
        self._is_unusable = False
        self._returned: set[str] = set()
        channel.pika.add_on_return_callback(self._on_return)
        channel.pika.confirm_delivery(self._on_confirm)

    @property
    def is_sound(self) -> bool:
        """Whether it can take another batch: not after a nack, nor if late confirms may come."""
        return self.channel.is_open and not self._is_unusable

    def register(self, messages: Sequence[M]) -> Sending[M]:
        """Give the messages the delivery tags that the broker will use for them."""
        sending = Sending(self, self._sent + 1, messages)
        self._sent += len(messages)
        self._in_flight.append(sending)
        return sending

    def settle(self, sending: Sending[M]) -> Outcome[M]:
        """The outcome as far as it is known; what is confirmed later is ignored."""
        self._in_flight.remove(sending)
        confirmed, nacked = sending.answered(ACKED), sending.answered(NACKED)
        refused = [each for each in confirmed if each.message_id in self._returned]
        if refused:
            confirmed = [each for each in confirmed if each.message_id not in self._returned]
            self._returned.difference_update(each.message_id for each in refused)
        self._is_unusable |= not sending.is_complete
        if self._is_unusable and not self._in_flight:
            self.channel.close()
        return Outcome(confirmed, refused, nacked)

    def _on_return(
        self,
        _channel: PikaChannel,
        _method: Basic.Return,
        properties: pika.BasicProperties,
        _body: bytes,
    ) -> None:
        self._returned.add(properties.message_id or "")

    def _on_confirm(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        last = frame.method.delivery_tag
        # `multiple` covers all tags up to this one. Those up to the last `multiple` are known.
        tags = range(self._last_multiple + 1 if frame.method.multiple else last, last + 1)
        if frame.method.multiple:
            self._last_multiple = last
        answer = ACKED if isinstance(frame.method, Basic.Ack) else NACKED
        self._is_unusable |= answer == NACKED
        for sending in self._in_flight:
            sending.record(tags, answer)
