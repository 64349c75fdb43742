"""Declares the work queues where they are missing, and measures their depth."""

from collections.abc import Iterable

from outbox.amqp import topology
from outbox.amqp.channel import Channel, Refused, ensure, open_channel
from outbox.amqp.connection import BrokerConnection
from outbox.amqp.queue_backoff import QueueBackoff


class Queues:
    """Declares and measures queues one by one, and backs off from those that the broker refuses.

    It also backs off from a queue deleted since the last poll. Declared again at once, the queue
    could exist before RabbitMQ has told its consumers. They would learn neither of the deletion
    nor of the messages in the new queue.
    """

    def __init__(self, connection: BrokerConnection, queue_backoff: QueueBackoff) -> None:
        self._connection = connection
        self._queue_backoff = queue_backoff
        self._channel: Channel | None = None
        self._declared: set[str] = set()

    async def depths(self, queues: Iterable[str]) -> dict[str, int]:
        """How many messages wait in each queue that is not backed off. Raises BrokerGone.

        Declares a queue and its `.XQ` the first time.
        """
        found: dict[str, int] = {}
        for queue in queues:
            if self._queue_backoff.leaves_out(queue):
                continue
            try:
                found[queue] = await self._depth(queue)
            except Refused as why:
                self._declared.discard(queue)
                self._queue_backoff.leave_out(queue, str(why))
        return found

    async def _depth(self, queue: str) -> int:
        if queue not in self._declared:
            dead_letter_queue = topology.dead_letter_queue(queue)
            await ensure(
                self._connection, dead_letter_queue, topology.dead_letter_queue_arguments()
            )
            await ensure(self._connection, queue, topology.work_queue(queue))
            self._declared.add(queue)
        if self._channel is None or not self._channel.is_open:
            self._channel = await open_channel(self._connection)
        return await self._channel.depth(queue)
