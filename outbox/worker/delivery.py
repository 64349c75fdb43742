"""Messages as a consumer received them, and how each is answered: once, over its own connection."""

import math
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError

from outbox.amqp.messages import Dispatch


class Answers:
    """Answers the messages of one consumer, from the consumer's thread. Other threads may ask.

    If the connection is gone, there is nothing to answer: the broker has requeued its messages, and
    what became of their jobs is in Postgres. A consumer that connects again has answers of its own,
    because its delivery tags start at 1 again.
    """

    def __init__(self, connection: BlockingConnection, channel: BlockingChannel) -> None:
        self._connection = connection
        self._channel = channel
        self.unanswered: set[int] = set()
        """Delivery tags. Only the consumer's thread touches them: it removes a tag as it sends the
        answer, or an acknowledgement of several could cover a message still to be rejected."""
        self._settled: list[int] = []
        self._lock = threading.Lock()

    def settle(self, tag: int) -> None:
        """Acknowledge the message, together with others that are settled meanwhile."""
        with self._lock, suppress(AMQPError):
            self._settled.append(tag)
            if len(self._settled) == 1:
                self._connection.add_callback_threadsafe(self._acknowledge)

    def refuse(self, tag: int, *, requeue: bool) -> None:
        """Requeue the message, or have the broker move it to the `.XQ`."""
        with suppress(AMQPError):
            self._connection.add_callback_threadsafe(partial(self._refuse, tag, requeue=requeue))

    def _refuse(self, tag: int, *, requeue: bool) -> None:
        if tag in self.unanswered:
            self._channel.basic_nack(tag, requeue=requeue)
            self.unanswered.discard(tag)

    def _acknowledge(self) -> None:
        """Send one acknowledgement for all settled messages older than the oldest unanswered one.

        The rest are acknowledged one by one. RabbitMQ logs each acknowledgement separately, however
        many messages it covers.
        """
        with self._lock:
            settled, self._settled = self._settled, []
        tags = sorted(self.unanswered.intersection(settled))
        self.unanswered.difference_update(tags)
        oldest = min(self.unanswered, default=math.inf)
        if older := [tag for tag in tags if tag < oldest]:
            self._channel.basic_ack(older[-1], multiple=True)
        for tag in tags[len(older) :]:
            self._channel.basic_ack(tag)


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """A message that must be answered. Its first answer counts."""

    answers: Answers
    tag: int

    def settle(self) -> None:
        """Acknowledge it: whatever there was to record of it is in Postgres."""
        self.answers.settle(self.tag)

    def give_back(self) -> None:
        """Requeue it for another worker."""
        self.answers.refuse(self.tag, requeue=True)

    def reject(self) -> None:
        """Send it to `<queue>.XQ`."""
        self.answers.refuse(self.tag, requeue=False)


@dataclass(frozen=True, slots=True, eq=False)
class Delivery(Received):
    """One of Duly's messages."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True, eq=False)
class Foreign(Received):
    """A message that is not one of Duly's."""

    queue: str
    body: bytes
    headers: Mapping[str, Any]
