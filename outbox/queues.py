"""The work queues as the broker has them: made where they are missing, and measured."""

from collections.abc import Iterable

from outbox import topology
from outbox.channel import Channel, Refused, ensure, open_channel
from outbox.link import Link
from outbox.pauses import Pauses


class Queues:
    """Looks at queues one by one; one that the broker will not have is left out for a while.

    So is one that was deleted since the last look. Made again at once, it could be there before
    RabbitMQ has told its consumers, who would then hear neither of the end nor of what comes into
    the new one.
    """

    def __init__(self, link: Link, pauses: Pauses) -> None:
        self._link = link
        self._pauses = pauses
        self._channel: Channel | None = None
        self._declared: set[str] = set()

    async def depths(self, queues: Iterable[str]) -> dict[str, int]:
        """How many messages wait in each that is not left out. Raises BrokerGone.

        A queue and its `.XQ` are made at the first look.
        """
        found: dict[str, int] = {}
        for queue in queues:
            if self._pauses.leaves_out(queue):
                continue
            try:
                found[queue] = await self._depth(queue)
            except Refused as why:
                self._declared.discard(queue)
                self._pauses.leave_out(queue, str(why))
        return found

    async def _depth(self, queue: str) -> int:
        if queue not in self._declared:
            intake = topology.dead_letter_queue(queue)
            await ensure(self._link, intake, topology.dead_letter_intake())
            await ensure(self._link, queue, topology.work_queue(queue))
            self._declared.add(queue)
        if self._channel is None or not self._channel.is_open:
            self._channel = await open_channel(self._link)
        return await self._channel.depth(queue)
