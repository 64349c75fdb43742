"""Publishes to RabbitMQ with pipelined confirms: many on their way, each accounted for."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pika
from pika.channel import Channel
from pika.frame import Method
from pika.spec import Basic

from outbox import frames, topology
from outbox.link import Link
from outbox.wire import Dispatch

CONFIRM_TIMEOUT_SECONDS = 15


@dataclass(slots=True)
class Outcome:
    """What became of a batch. A dispatch in neither list is unknown: publish it again."""

    confirmed: list[Dispatch] = field(default_factory=list)
    refused: list[Dispatch] = field(default_factory=list)


@dataclass(slots=True)
class _Batch:
    left: int
    outcome: Outcome
    settled: "asyncio.Future[None]"
    nacked: bool = False


class Publisher:
    """Publishes batches over one link, several at a time if asked.

    Every message is mandatory and persistent. The broker acknowledges even what it could not
    route, after returning it, so a returned message counts as refused. A nack says nothing of the
    message: the broker can take none now, or none over this link (RabbitMQ 3.10 nacks all that
    comes over a channel opened before a queue's new leader was known, as long as that lives).
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._tag = 0
        self._oldest = 1
        self._pending: dict[int, tuple[Dispatch, _Batch]] = {}
        self._returned: set[str] = set()
        self._declared: set[str] = set()
        link.channel.add_on_return_callback(self._on_return)
        link.channel.confirm_delivery(self._on_confirm)

    async def depth(self, queue: str) -> int:
        """How many messages wait in the queue; it and its `.XQ` are made at the first look.

        Raises BrokerGone where the queue was deleted since. Made again at once, it could be there
        before RabbitMQ has told its consumers, who would then hear neither of the end nor of what
        comes into the new one; it is made again over the next link.
        """
        if queue not in self._declared:
            intake = topology.dead_letter_queue(queue)
            await self._link.declare(intake, topology.dead_letter_intake())
            await self._link.declare(queue, topology.work_queue(queue))
            self._declared.add(queue)
        return await self._link.depth(queue)

    async def publish(self, dispatches: Sequence[Dispatch]) -> Outcome:
        """Publish all and wait for the broker's word on each.

        Returns early with what is known when the link is lost; waits CONFIRM_TIMEOUT_SECONDS at
        the most, then gives the link up unless the broker said that it blocks publishers. After a
        nack it gives the link up as well.
        """
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        batch = _Batch(len(dispatches), Outcome(), settled)
        self._send(dispatches, batch)
        either: set[asyncio.Future[Any]] = {settled, self._link.lost}
        await asyncio.wait(
            either,
            timeout=CONFIRM_TIMEOUT_SECONDS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if batch.nacked:
            self._link.lose("it takes no messages")
        elif not settled.done() and self._link.unblocked.is_set():
            self._link.close()
        return batch.outcome

    def _send(self, dispatches: Sequence[Dispatch], batch: _Batch) -> None:
        if self._link.lost.done():
            return
        channel = self._link.channel.channel_number
        self._link.write(b"".join(frames.message(channel, each) for each in dispatches))
        for dispatch in dispatches:
            self._tag += 1
            self._pending[self._tag] = (dispatch, batch)

    def _on_return(
        self,
        _channel: Channel,
        _method: Basic.Return,
        properties: pika.BasicProperties,
        _body: bytes,
    ) -> None:
        self._returned.add(properties.message_id or "")

    def _on_confirm(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        method = frame.method
        first = self._oldest if method.multiple else method.delivery_tag
        for tag in range(first, method.delivery_tag + 1):
            if tag in self._pending:
                self._settle(*self._pending.pop(tag), acked=isinstance(method, Basic.Ack))
        while self._oldest <= self._tag and self._oldest not in self._pending:
            self._oldest += 1

    def _settle(self, dispatch: Dispatch, batch: _Batch, *, acked: bool) -> None:
        returned = dispatch.message_id in self._returned
        self._returned.discard(dispatch.message_id)
        if not acked:
            batch.nacked = True
        else:
            (batch.outcome.refused if returned else batch.outcome.confirmed).append(dispatch)
        batch.left -= 1
        if batch.left == 0 and not batch.settled.done():
            batch.settled.set_result(None)
