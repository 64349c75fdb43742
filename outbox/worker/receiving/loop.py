"""Makes jobs of messages as they are delivered, and acknowledges them after the commit."""

from collections.abc import Sequence

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError

from outbox.amqp.connection import BrokerGone, connect
from outbox.amqp.queue_backoff import QueueBackoff
from outbox.consumers import Consumers
from outbox.postgres.refused_records import first_line
from outbox.worker.receiving import jobs
from outbox.worker.receiving.channels import Channels
from outbox.worker.receiving.envelope import Received, Unusable, opened
from outbox.worker.receiving.jobs import Sessions
from outbox.worker.receiving.reading import Readable, read

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
"""How often it looks for queues that were missing."""
DELIVERIES_ALLOWED = 5
"""How often a message may be begun again, because the process died with it."""


class Receiving:
    """Consumes the queues of all consumers; any number of workers may.

    New messages are done together, in one commit. One that RabbitMQ delivers again is done by
    itself, and is counted first: it may be what killed its worker.
    """

    def __init__(self, amqp_url: str, sessions: Sessions, consumers: Consumers) -> None:
        self._amqp_url = amqp_url
        self._sessions = sessions
        self._consumers = consumers
        self._queue_backoff = QueueBackoff()
        self.is_up: bool | None = None
        """Whether RabbitMQ was there when it was tried last; None before."""

    async def run(self) -> None:
        """Receive for ever. Raises BrokerGone or psycopg's errors; call it again then.

        What was not acknowledged is delivered again then.
        """
        try:
            await self._run()
        except BrokerGone:
            self.is_up = False
            raise

    async def _run(self) -> None:
        async with connect(self._amqp_url) as broker:
            self.is_up = True
            channels = Channels(broker, self._queue_backoff)
            log.info("messages of other services are received", queues=sorted(self._consumers))
            while True:
                await channels.open(self._consumers)
                messages = await channels.next(POLL_SECONDS)
                try:
                    await self._take(messages)
                except DBAPIError as error:
                    raise error.orig if isinstance(error.orig, psycopg.Error) else error from None

    async def _take(self, messages: Sequence[Received]) -> None:
        again = [each for each in messages if each.is_redelivered]
        for each in again:
            await self._take_one(each)
        fresh = [each for each in messages if not each.is_redelivered]
        readable = [found for each in fresh if (found := await self._read(each))]
        try:
            await self._do(readable)
        except DBAPIError as error:
            if not jobs.is_about(error):
                raise
            for one in readable:
                await self._do_or_quarantine(one)

    async def _take_one(self, received: Received) -> None:
        """Take one that was delivered before, unless it was begun too often."""
        try:
            message_id = opened(received).message.id
        except Unusable as why:
            await self._quarantine(received, str(why))
            return
        if await jobs.count_delivery(self._sessions, received, message_id) > DELIVERIES_ALLOWED:
            await self._quarantine(received, "workers died with it")
        elif readable := await self._read(received):
            await self._do_or_quarantine(readable)

    async def _read(self, received: Received) -> Readable | None:
        """The message, or None if it was quarantined."""
        try:
            return read(self._consumers[received.queue], received)
        except Unusable as why:
            await self._quarantine(received, str(why))
            return None

    async def _do_or_quarantine(self, readable: Readable) -> None:
        try:
            await self._do([readable])
        except DBAPIError as error:
            if not jobs.is_about(error):
                raise
            why = f"Postgres refused its job: {first_line(error.orig or error)}"
            await self._quarantine(readable.received, why)

    async def _do(self, messages: Sequence[Readable]) -> None:
        if messages:
            await jobs.do(self._sessions, messages)
        for each in messages:
            each.received.acknowledge()

    async def _quarantine(self, received: Received, why: str) -> None:
        await jobs.quarantine(self._sessions, received, why)
        received.acknowledge()
