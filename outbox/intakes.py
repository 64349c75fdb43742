"""Receives what lies in the dead-letter queues."""

import asyncio
from collections.abc import Iterable

from outbox import topology
from outbox.channel import Refused, ensure, open_channel
from outbox.intake import DeadMessage, Intake
from outbox.link import Link
from outbox.pauses import Pauses


class Intakes:
    """Consumes the `.XQ` of queues, each over a channel of its own.

    One that the broker refuses, or deletes, is left out for a while; the others go on.
    """

    def __init__(self, link: Link, pauses: Pauses) -> None:
        self._link = link
        self._pauses = pauses
        self._inbox: asyncio.Queue[DeadMessage] = asyncio.Queue()
        self._intakes: dict[str, Intake] = {}

    async def open(self, queues: Iterable[str]) -> None:
        """Consume from those of these queues, too. Raises BrokerGone."""
        for queue in list(queues):
            name = topology.dead_letter_queue(queue)
            if self._pauses.leaves_out(name):
                continue
            try:
                await self._consume(name, queue)
            except Refused as why:
                self._intakes.pop(name, None)
                self._pauses.leave_out(name, str(why))

    async def next(self, seconds: float) -> DeadMessage | None:
        """The next message, or None where none comes for so long. Raises BrokerGone."""
        self._link.check()
        try:
            async with asyncio.timeout(seconds):
                message = await self._inbox.get()
        except TimeoutError:
            return None
        return message if message.intake.is_open else None

    async def _consume(self, name: str, queue: str) -> None:
        """Begin to, or see that it goes on. Raises Refused."""
        if name in self._intakes:
            await self._intakes[name].go_on()
            return
        await ensure(self._link, name, topology.dead_letter_intake())
        intake = Intake(queue, await open_channel(self._link), self._inbox)
        await intake.begin()
        self._intakes[name] = intake
        self._pauses.forget(name)
