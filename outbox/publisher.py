"""Publishes to RabbitMQ with pipelined confirms: many on their way, each accounted for."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pika
from pika.channel import Channel as PikaChannel
from pika.frame import Method
from pika.spec import Basic

from outbox import frames
from outbox.channel import Channel, open_channel
from outbox.link import Link
from outbox.wire import Dispatch

CONFIRM_TIMEOUT_SECONDS = 15
ACKED, NACKED = 1, 2
"""The broker's words; 0 where it has said nothing."""


@dataclass(slots=True)
class Outcome:
    """What became of a batch. A dispatch in none of the lists is unknown: publish it again."""

    confirmed: list[Dispatch] = field(default_factory=list)
    refused: list[Dispatch] = field(default_factory=list)
    """The broker has no such queue."""
    nacked: list[Dispatch] = field(default_factory=list)
    """The queue takes nothing now, which is no fault of the dispatch."""


class Sending:
    """A batch that was sent, and what the broker has said of each dispatch so far."""

    def __init__(self, stream: "_Stream", first: int, dispatches: Sequence[Dispatch]) -> None:
        self.stream = stream
        self._first = first
        self._dispatches = dispatches
        self._words = bytearray(len(dispatches))
        self._unknown = len(dispatches)
        self._loop = asyncio.get_running_loop()
        self._patience_ends = self._loop.time() + CONFIRM_TIMEOUT_SECONDS
        self._ended: asyncio.Future[None] = self._loop.create_future()
        if not dispatches:
            self._end()

    @property
    def is_known(self) -> bool:
        """Whether the broker has said all."""
        return not self._unknown

    def hear(self, numbers: range, word: int) -> None:
        """The broker's word on those of the numbers that are of this batch and still unknown."""
        for place in _overlap(numbers, self._first, len(self._words)):
            if not self._words[place]:
                self._words[place] = word
                self._unknown -= 1
        if not self._unknown:
            self._end()

    def said(self, word: int) -> list[Dispatch]:
        """The dispatches of which the broker has said this."""
        pairs = zip(self._dispatches, self._words, strict=True)
        return [dispatch for dispatch, said in pairs if said == word]

    async def end(self, *causes: "asyncio.Future[str]") -> None:
        """Wait until all is known, one of the causes has come, or patience ends.

        asyncio.wait would do, with one future and one turn of the loop more for each batch.
        """
        timer = self._loop.call_at(self._patience_ends, self._end)
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
            self._ended.set_result(None)


def _overlap(numbers: range, first: int, count: int) -> range:
    """Which of `count` places, the first of which has the number `first`, the numbers are of."""
    return range(max(numbers.start - first, 0), min(numbers.stop - first, count))


class Publisher:
    """Sends batches over a channel of the link; several may be on their way.

    Every message is mandatory and persistent. The broker acknowledges even what it could not
    route, after returning it, so a returned message counts as refused. What is sent after a nack
    goes over a new channel: RabbitMQ 3.10 nacks all that comes for a queue over a channel opened
    before the queue's new leader was known, as long as that lives.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._stream: _Stream | None = None

    async def send(self, dispatches: Sequence[Dispatch]) -> Sending:
        """Write them all, and wait for nothing; each Sending has to be asked for its outcome.

        Raises BrokerGone where the link was lost before.
        """
        stream = await self._open_stream()
        self._write(stream, dispatches)
        return stream.expect(dispatches)

    async def outcome(self, sending: Sending) -> Outcome:
        """Wait for the broker's word on each.

        Returns early with what is known when the link is lost; waits until CONFIRM_TIMEOUT_SECONDS
        after the sending, then gives the link up unless the broker said that it blocks publishers.
        """
        stream, refused = sending.stream, sending.stream.channel.refused
        await sending.end(refused, self._link.lost)
        if not sending.is_known and self._link.unblocked.is_set():
            self._link.lose(refused.result() if refused.done() else "it confirms nothing")
        return stream.leave(sending)

    async def _open_stream(self) -> "_Stream":
        self._link.check()
        if self._stream is None or not self._stream.is_sound:
            self._stream = _Stream(await open_channel(self._link))
        return self._stream

    def _write(self, stream: "_Stream", dispatches: Sequence[Dispatch]) -> None:
        if not dispatches:
            return
        channel = stream.channel.pika.channel_number
        self._link.write(b"".join(frames.message(channel, each) for each in dispatches))


class _Stream:
    """Keeps the account of one channel."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._sent = self._known = 0
        self._on_their_way: list[Sending] = []
        self._is_spoiled = False
        self._returned: set[str] = set()
        channel.pika.add_on_return_callback(self._on_return)
        channel.pika.confirm_delivery(self._on_confirm)

    @property
    def is_sound(self) -> bool:
        """Whether it takes another batch: not after a nack, nor when there may be words to come."""
        return self.channel.is_open and not self._is_spoiled

    def expect(self, dispatches: Sequence[Dispatch]) -> Sending:
        """Number the dispatches as the broker does."""
        sending = Sending(self, self._sent + 1, dispatches)
        self._sent += len(dispatches)
        self._on_their_way.append(sending)
        return sending

    def leave(self, sending: Sending) -> Outcome:
        """What is known of it; nobody waits for it any more."""
        self._on_their_way.remove(sending)
        confirmed, nacked = sending.said(ACKED), sending.said(NACKED)
        refused = [each for each in confirmed if each.message_id in self._returned]
        if refused:
            confirmed = [each for each in confirmed if each.message_id not in self._returned]
            self._returned.difference_update(each.message_id for each in refused)
        self._is_spoiled |= not sending.is_known
        if self._is_spoiled and not self._on_their_way:
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
        # Of several, all up to the last: those of before are known.
        numbers = range(self._known + 1 if frame.method.multiple else last, last + 1)
        if frame.method.multiple:
            self._known = last
        word = ACKED if isinstance(frame.method, Basic.Ack) else NACKED
        self._is_spoiled |= word == NACKED
        for sending in self._on_their_way:
            sending.hear(numbers, word)
