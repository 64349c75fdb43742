"""Moves batches of events from the outbox to RabbitMQ: one is sent while another is on its way.

So RabbitMQ writes the one while Postgres locks the next and settles the last, and what comes right
after a small one does not wait for its confirms. Two connections to Postgres, as each holds the
transaction of one batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from psycopg import AsyncConnection

from outbox import batches, refusals
from outbox.frontier import Frontier
from outbox.link import BrokerGone
from outbox.pauses import Pauses
from outbox.publisher import Publisher, Sending
from outbox.refusals import Hopeless
from outbox.rooms import Rooms
from outbox.wire import Dispatch

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Load:
    """A batch that is on its way, and the connection that holds its events."""

    events: AsyncConnection[Any]
    flawed: Sequence[Dispatch]
    sending: Sending


class Mover:
    """Moves as much as there is room for, highest priority first.

    What is on its way when the process dies, or Postgres goes, is locked until its connections end,
    and then as it was: the next relay sends it again. When RabbitMQ goes, so is what it has not
    confirmed.
    """

    def __init__(
        self,
        events: Sequence[AsyncConnection[Any]],
        publisher: Publisher,
        pauses: Pauses,
        rooms: Rooms,
    ) -> None:
        self._idle = list(events)
        self._publisher = publisher
        self._pauses = pauses
        self._on_its_way: _Load | None = None
        self._hopeless: Hopeless = []
        self._full: set[str] = set()
        self._frontier = Frontier()
        self._rooms = rooms

    def begin_anew(self) -> None:
        """Let the next batch begin at the oldest event again."""
        self._frontier.forget()

    async def is_any_due(self) -> bool:
        """Whether there is anything to move."""
        is_any_due = await batches.is_any_due(self._idle[-1], self._rooms)
        if not is_any_due:
            self._rooms.spend([])
        return is_any_due

    async def move(self) -> int:
        """Send a batch and settle the one before; returns how many events it took up.

        The batch stays on its way until the next or `land`. Raises BrokerGone or psycopg's errors.
        """
        try:
            count, load = await self._send()
        except BrokerGone:
            await self._settle_last()  # of which all may be confirmed
            raise
        await self._settle_last()
        self._on_its_way = load
        if self._hopeless or self._full:
            await self.land()
        return count

    async def land(self) -> None:
        """Settle what is on its way: then no event is locked. Raises as `move`."""
        await self._settle_last()
        self._leave_out_full_queues()
        # Not while events are locked: burying locks jobs, and cancel locks a job before its event.
        while self._hopeless:
            await refusals.bury(self._idle[-1], *self._hopeless.pop())

    async def _send(self) -> tuple[int, _Load | None]:
        events = self._idle.pop()
        locked = await batches.lock(events, self._rooms, self._frontier)
        self._rooms.spend(locked)
        if not locked:
            await events.execute("COMMIT")
            self._idle.append(events)
            return 0, None
        self._frontier.advance(locked)
        batch = [event.dispatch for event in locked]
        flawed = [each for each in batch if refusals.flaw(each)]
        sound = [each for each in batch if not refusals.flaw(each)] if flawed else batch
        return len(batch), _Load(events, flawed, await self._publisher.send(sound))

    async def _settle_last(self) -> None:
        load, self._on_its_way = self._on_its_way, None
        if load is None:
            return
        outcome = await self._publisher.outcome(load.sending)
        refused = [*outcome.refused, *load.flawed]
        if refused:
            log.warning("messages refused", count=len(refused), first=refused[0].message_id)
        self._hopeless += await batches.settle(load.events, outcome.confirmed, refused)
        self._idle.append(load.events)
        for queue in {each.queue for each in outcome.confirmed}:
            self._pauses.forget(queue)
        self._full.update(each.queue for each in outcome.nacked)

    def _leave_out_full_queues(self) -> None:
        """Those that took nothing at all for longer each time, the others for a moment."""
        for queue in self._full:
            self._pauses.leave_out(queue, "it takes no messages")
            self._rooms.leave_out(queue)
        self._full.clear()
