"""A channel of a connection to RabbitMQ, awaited instead of called back."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from pika.channel import Channel as PikaChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker
from pika.frame import Method
from pika.spec import Basic, Exchange, Queue

from outbox.amqp import topology
from outbox.amqp.connection import BrokerConnection, BrokerGone

log = structlog.get_logger(__name__)

T = TypeVar("T")
Receive = Callable[[Any, Any, Any, bytes], None]


class Refused(Exception):
    """The broker refused a request and closed the channel; the text says why."""


class Channel:
    """A channel. When the broker refuses a request on it, it closes this channel and no other."""

    def __init__(self, connection: BrokerConnection, pika_channel: PikaChannel) -> None:
        self._connection = connection
        self.pika = pika_channel
        self._consumer: str | None = None
        self.refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done once a refusal has closed the channel; the result says why."""
        pika_channel.add_on_close_callback(self._closed)

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent over it."""
        return bool(self.pika.is_open)

    async def declare(self, queue: str, arguments: dict[str, object]) -> None:
        """Make sure that the durable queue exists.

        Raises Refused, also if the queue exists with other arguments, and BrokerGone.
        """
        _: Method[Queue.DeclareOk] = await self._call(
            lambda done: self.pika.queue_declare(
                queue, durable=True, arguments=arguments, callback=done
            )
        )

    async def depth(self, queue: str) -> int:
        """How many messages wait in the queue.

        Raises Refused, also if the queue does not exist, and BrokerGone.
        """
        found: Method[Queue.DeclareOk] = await self._call(
            lambda done: self.pika.queue_declare(queue, passive=True, callback=done)
        )
        count: int = found.method.message_count
        return count

    async def check_exchange(self, exchange: str) -> None:
        """Raises Refused if the exchange does not exist, or is not to be used, and BrokerGone."""
        _: Method[Exchange.DeclareOk] = await self._call(
            lambda done: self.pika.exchange_declare(exchange, passive=True, callback=done)
        )

    async def consume(self, queue: str, receive: Receive, *, prefetch: int) -> None:
        """Consume the queue; `refused` is done once the queue is deleted. Raises as `declare`.

        Called again, it receives up to `prefetch` messages besides the unacknowledged ones.
        """

        def begin(done: Callable[[Method[Basic.ConsumeOk]], None]) -> None:
            if self._consumer is None:
                self.pika.add_on_cancel_callback(lambda _: self._refuse("it was deleted"))
            else:
                self.pika.basic_cancel(self._consumer)
            self.pika.basic_qos(prefetch_count=prefetch)
            self._consumer = self.pika.basic_consume(queue, receive, callback=done)

        await self._call(begin)

    def close(self) -> None:
        """Close it; RabbitMQ requeues what was not acknowledged over it."""
        if self.is_open:
            self.pika.close()

    def check(self) -> None:
        """Raise Refused if it was closed by a refusal, BrokerGone if its connection is lost."""
        self._connection.check()
        if self.refused.done():
            raise Refused(self.refused.result())

    async def _call(self, method: Callable[[Callable[[T], None]], object]) -> T:
        self.check()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            method(lambda result: None if done.done() else done.set_result(result))
        except AMQPError as error:
            raise BrokerGone(str(error) or type(error).__name__) from None
        await self._connection.first_of(done, self.refused)
        self.check()
        return done.result()

    def _refuse(self, why: str) -> None:
        if not self.refused.done():
            self.refused.set_result(why)
        self.close()

    def _closed(self, _: PikaChannel, why: Exception) -> None:
        if isinstance(why, ChannelClosedByBroker):
            self._refuse(why.reply_text)


async def open_channel(connection: BrokerConnection) -> Channel:
    """A new channel. Raises BrokerGone."""
    connection.check()
    opened: asyncio.Future[PikaChannel] = asyncio.get_running_loop().create_future()
    try:
        connection.pika_connection.channel(on_open_callback=opened.set_result)
    except AMQPError as error:  # such as too many channels for the broker
        raise BrokerGone(str(error) or type(error).__name__) from None
    await connection.first_of(opened)
    return Channel(connection, opened.result())


async def ensure(connection: BrokerConnection, queue: str, arguments: dict[str, object]) -> None:
    """Make sure that the durable queue exists.

    If the broker refuses the declaration, an existing queue is used as it is: it has other
    arguments, or this user may not configure it. Raises Refused, with the reason, if there is no
    queue; and BrokerGone.
    """
    channel = await open_channel(connection)
    try:
        await channel.declare(queue, arguments)
    except Refused as why:
        channel = await open_channel(connection)
        try:
            await channel.depth(queue)
        except Refused:
            raise why from None
        log.warning(topology.USED_AS_IT_IS, queue=queue, why=str(why))
    channel.close()
