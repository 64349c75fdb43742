"""Sends to each exchange over a channel of its own, once it is known to exist.

RabbitMQ answers a message for an exchange that is missing, or that this user may not write to, by
closing the channel, and forgets what else was sent over it. So no other exchange's messages are on
that channel.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from outbox.amqp import outgoing
from outbox.amqp.channel import Refused, open_channel
from outbox.amqp.connection import BrokerConnection
from outbox.amqp.outgoing import Outgoing
from outbox.amqp.publisher import UNANSWERED, Publisher, Sending

DEFAULT = ""
"""Every broker has it."""
MOST_CHANNELS = 100
"""Channels that stay open between batches; RabbitMQ allows some 2,000."""


@dataclass(slots=True)
class Outcome:
    """What became of a batch. A message in none of these is unknown: it is sent again."""

    confirmed: list[Outgoing] = field(default_factory=list)
    refused: list[tuple[Outgoing, str]] = field(default_factory=list)
    """Each with the reason."""
    put_off: list[Outgoing] = field(default_factory=list)
    """A queue accepts no messages now; the message is not at fault."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was sent to each exchange, and what was refused before it was sent."""

    sendings: list[tuple[str, Publisher[Outgoing], Sending[Outgoing]]]
    refused: list[tuple[Outgoing, str]]


class Exchanges:
    """The exchanges that messages are sent to. It makes none."""

    def __init__(self, connection: BrokerConnection) -> None:
        self._connection = connection
        largest = connection.largest_frame
        self._encode = partial(outgoing.frames, largest_frame=largest)
        self._publishers: dict[str, Publisher[Outgoing]] = {}

    async def send(self, messages: Sequence[Outgoing]) -> Batch:
        """Send all, in order for each exchange, without waiting for confirms. Raises BrokerGone."""
        by_exchange: dict[str, list[Outgoing]] = defaultdict(list)
        for message in messages:
            by_exchange[message.exchange].append(message)
        batch = Batch([], [])
        for exchange, some in by_exchange.items():
            try:
                publisher = await self._publisher(exchange)
            except Refused as why:
                batch.refused.extend((message, str(why)) for message in some)
            else:
                batch.sendings.append((exchange, publisher, await publisher.send(some)))
        return batch

    async def outcome(self, batch: Batch) -> Outcome:
        """Wait for the broker's answers. Returns early, with what is known, if it is lost."""
        found = Outcome(refused=batch.refused)
        for exchange, publisher, sending in batch.sendings:
            outcome = await publisher.outcome(sending)
            found.confirmed += outcome.confirmed
            found.put_off += outcome.nacked
            why = f"no queue is bound to exchange {exchange!r} for its routing key"
            found.refused += [(message, why) for message in outcome.refused]
            if sending.stream.channel.refused.done():
                found.refused += self._refused(exchange, publisher, sending)
        return found

    def _refused(
        self, exchange: str, publisher: Publisher[Outgoing], sending: Sending[Outgoing]
    ) -> list[tuple[Outgoing, str]]:
        """What the broker did not answer on a channel that it has closed. The next is a new one."""
        if self._publishers.get(exchange) is publisher:
            del self._publishers[exchange]
        why = sending.stream.channel.refused.result()
        return [(message, why) for message in sending.answered(UNANSWERED)]

    def trim(self) -> None:
        """Close the channels if they are too many; nothing may be in flight."""
        if len(self._publishers) > MOST_CHANNELS:
            for publisher in self._publishers.values():
                publisher.close()
            self._publishers.clear()

    async def _publisher(self, exchange: str) -> Publisher[Outgoing]:
        """Raises Refused if the exchange does not exist, and BrokerGone."""
        found = self._publishers.get(exchange)
        if found is None:
            if exchange != DEFAULT:
                channel = await open_channel(self._connection)
                await channel.check_exchange(exchange)
                channel.close()
            found = self._publishers[exchange] = Publisher(self._connection, self._encode)
        return found
