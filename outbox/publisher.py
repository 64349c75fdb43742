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


@dataclass(slots=True)
class Outcome:
    """What became of a batch. A dispatch in none of the lists is unknown: publish it again."""

    confirmed: list[Dispatch] = field(default_factory=list)
    refused: list[Dispatch] = field(default_factory=list)
    """The broker has no such queue."""
    nacked: list[Dispatch] = field(default_factory=list)
    """The queue takes nothing now, which is no fault of the dispatch."""


class Publisher:
    """Publishes one batch after the other over a channel of the link.

    Every message is mandatory and persistent. The broker acknowledges even what it could not
    route, after returning it, so a returned message counts as refused. After a nack the next batch
    goes over a new channel: RabbitMQ 3.10 nacks all that comes for a queue over a channel opened
    before the queue's new leader was known, as long as that lives.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._stream: _Stream | None = None

    async def publish(self, dispatches: Sequence[Dispatch]) -> Outcome:
        """Publish all and wait for the broker's word on each.

        Raises BrokerGone where the link was lost before. Returns early with what is known when it
        is lost on the way; waits CONFIRM_TIMEOUT_SECONDS at the most, then gives the link up unless
        the broker said that it blocks publishers.
        """
        if not dispatches:
            return Outcome()
        stream = await self._open_stream()
        batch = self._send(stream, dispatches)
        await batch.end(CONFIRM_TIMEOUT_SECONDS, stream.channel.refused, self._link.lost)
        if batch.outcome.nacked:
            stream.channel.close()
        elif batch.waiting and self._link.unblocked.is_set():
            self._link.lose("it confirms nothing")
        return batch.outcome

    async def _open_stream(self) -> "_Stream":
        if self._stream is None or not self._stream.channel.is_open:
            self._stream = _Stream(await open_channel(self._link))
        return self._stream

    def _send(self, stream: "_Stream", dispatches: Sequence[Dispatch]) -> "_Batch":
        channel = stream.channel.pika.channel_number
        self._link.write(b"".join(frames.message(channel, each) for each in dispatches))
        return stream.expect(dispatches)


class _Batch:
    """What waits for the broker's word, by its number on the channel, and what had it."""

    def __init__(self, waiting: dict[int, Dispatch]) -> None:
        self.waiting = waiting
        self.outcome = Outcome()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()

    def settle(self, _: object = None) -> None:
        """Wait no longer."""
        if not self._ended.done():
            self._ended.set_result(None)

    async def end(self, seconds: float, *causes: "asyncio.Future[str]") -> None:
        """Wait until it is settled, one of the causes has come, or so much time has passed.

        asyncio.wait would do, with one future and one turn of the loop more for each batch.
        """
        timer = self._loop.call_later(seconds, self.settle)
        for cause in causes:
            cause.add_done_callback(self.settle)
        try:
            await self._ended
        finally:
            timer.cancel()
            for cause in causes:
                cause.remove_done_callback(self.settle)


class _Stream:
    """Keeps the account of one channel; what the broker says of an earlier batch comes too late."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._sent = 0
        self._batch = _Batch({})
        self._returned: set[str] = set()
        channel.pika.add_on_return_callback(self._on_return)
        channel.pika.confirm_delivery(self._on_confirm)

    def expect(self, dispatches: Sequence[Dispatch]) -> _Batch:
        """Number the dispatches as the broker does."""
        self._batch = _Batch(dict(enumerate(dispatches, start=self._sent + 1)))
        self._sent += len(dispatches)
        return self._batch

    def _on_return(
        self,
        _channel: PikaChannel,
        _method: Basic.Return,
        properties: pika.BasicProperties,
        _body: bytes,
    ) -> None:
        self._returned.add(properties.message_id or "")

    def _on_confirm(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        last, waiting = frame.method.delivery_tag, self._batch.waiting
        first = min(waiting, default=last + 1) if frame.method.multiple else last
        for tag in range(first, last + 1):
            if tag in waiting:
                self._settle(waiting.pop(tag), acked=isinstance(frame.method, Basic.Ack))

    def _settle(self, dispatch: Dispatch, *, acked: bool) -> None:
        outcome = self._batch.outcome
        returned = dispatch.message_id in self._returned
        self._returned.discard(dispatch.message_id)
        if not acked:
            outcome.nacked.append(dispatch)
        else:
            (outcome.refused if returned else outcome.confirmed).append(dispatch)
        if not self._batch.waiting:
            self._batch.settle()
