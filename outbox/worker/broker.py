"""What Dramatiq's worker consumes from: Duly's queues, with consumers that trust no message.

Workers only consume: everything published comes from the outbox, through the relay. So this broker
enqueues nothing, and has neither a delay queue nor middleware. Each message is answered once, over
the connection on which it was received.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import dramatiq
import structlog
from dramatiq.broker import Consumer as DramatiqConsumer
from dramatiq.broker import MessageProxy
from dramatiq.errors import ConnectionClosed
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError, ChannelClosedByBroker, ConnectionWrongStateError

from outbox.amqp import messages, topology
from outbox.amqp.connection import parameters
from outbox.amqp.messages import Dispatch

log = structlog.get_logger(__name__)

LOST = (AMQPError, AMQPConnectorException, OSError, AssertionError)
"""What pika raises for a connection that is gone."""


def all_up(*answers: bool | None) -> bool | None:
    """Whether all that were tried are up; None if none was, as None is the answer of each then."""
    tried = [each for each in answers if each is not None]
    return all(tried) if tried else None


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


Receive = Callable[[Delivery], None]
"""Takes a message of a job, on its consumer's thread."""
KeepForeign = Callable[[Foreign, str], None]
"""Takes any other message, and why it is none of ours."""


class Broker(dramatiq.Broker):
    """Makes a consumer for each queue, which holds up to `prefetch` unanswered messages of it."""

    def __init__(
        self,
        amqp_url: str,
        prefetch: Mapping[str, int],
        receive: Receive,
        keep_foreign: KeepForeign,
    ) -> None:
        super().__init__(middleware=[])
        self.nodes = parameters(amqp_url)
        self.receive = receive
        self.keep_foreign = keep_foreign
        self.prefetch = prefetch
        self.consumed: set[str] = set()
        """Queues that have a consumer, as far as is known."""
        self.was_tried = False
        """Whether a consumer was ever made. A worker makes none before it has reached Postgres."""
        self._was_up_when_left: bool | None = None
        self.used_as_they_are: set[str] = set()
        """Queues that RabbitMQ did not let this worker declare; each is logged once."""
        for queue in prefetch:
            self.declare_queue(queue)

    @property
    def is_up(self) -> bool | None:
        """Whether all queues are consumed, over connections that are not known to be lost.

        None before the first try. What was so when the worker left stays.
        """
        if self._was_up_when_left is not None:
            return self._was_up_when_left
        return self.consumed >= self.prefetch.keys() if self.was_tried else None

    def leave(self) -> None:
        """Keep what is known of RabbitMQ: from now on the worker closes its consumers itself."""
        self._was_up_when_left = self.is_up

    def declare_queue(self, queue_name: str) -> None:
        """Have Dramatiq's worker consume the queue. Its consumers declare it in RabbitMQ."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = queue_name
            self.emit_after("declare_queue", queue_name)

    def consume(
        self,
        queue_name: str,
        prefetch: int = 1,  # noqa: ARG002 - Dramatiq has one number for all queues
        timeout: int = 5000,
    ) -> "Consumer":
        """A new consumer. Raises ConnectionClosed; Dramatiq's worker tries again then."""
        return Consumer(self, queue_name, timeout / 1000)


class Consumer(DramatiqConsumer):
    """Hands the messages of one queue on, over a connection of its own.

    It yields none of them to Dramatiq, whose threads only take jobs that have been claimed.
    """

    def __init__(self, broker: Broker, queue: str, timeout_seconds: float) -> None:
        self._broker = broker
        self._queue = queue
        broker.was_tried = True
        with _lost_connections():
            self.connection = BlockingConnection(broker.nodes)
            try:
                channel = self._declared()
                channel.basic_qos(prefetch_count=broker.prefetch[queue])
            except BaseException:  # nobody will have this consumer to close
                with suppress(AMQPError):
                    self.connection.close()
                raise
            self._messages = channel.consume(queue, inactivity_timeout=timeout_seconds)
        self.channel = channel
        self.answers = Answers(self.connection, channel)
        broker.consumed.add(queue)

    def __next__(self) -> MessageProxy | None:
        """Hand the next message on; None. Waits for it up to the timeout.

        Raises ConnectionClosed, and StopIteration if the broker cancels the consumer.
        """
        try:
            method, properties, body = next(self._messages)
        except LOST as error:  # `with _lost_connections()` would cost each message
            self._broker.consumed.discard(self._queue)
            raise ConnectionClosed(error) from None
        if method and properties and body is not None:
            self.answers.unanswered.add(method.delivery_tag)
            self._hand_on(method.delivery_tag, properties, body)
        return None

    def ack(self, message: MessageProxy) -> None:
        """Do nothing. Dramatiq calls this after the actor; each delivery gets its own answer."""

    nack = ack

    def close(self) -> None:
        """Send the answers that were handed in, and disconnect. Raises ConnectionClosed."""
        self._broker.consumed.discard(self._queue)
        with _lost_connections():
            try:
                all_sent = threading.Event()
                self.connection.add_callback_threadsafe(all_sent.set)
                while not all_sent.is_set():
                    self.connection.process_data_events(0)
                self.connection.close()
            except ConnectionWrongStateError:
                """It is closed already."""

    def _hand_on(self, tag: int, properties: BasicProperties, body: bytes) -> None:
        try:
            dispatch = messages.decode(body, self._queue)
        except messages.Malformed as why:
            headers = properties.headers or {}
            foreign = Foreign(self.answers, tag, self._queue, body, headers)
            self._broker.keep_foreign(foreign, str(why))
        else:
            self._broker.receive(Delivery(self.answers, tag, dispatch))

    def _declared(self) -> BlockingChannel:
        """A channel, on which the queue and its `.XQ` are declared."""
        channel = self._declare(
            self.connection.channel(), self._queue, topology.work_queue(self._queue)
        )
        dead_letters = topology.dead_letter_queue(self._queue)
        return self._declare(channel, dead_letters, topology.dead_letter_queue_arguments())

    def _declare(
        self, channel: BlockingChannel, queue: str, arguments: Mapping[str, object]
    ) -> BlockingChannel:
        """Declare the queue or use the existing one as it is, as `ensure` in outbox/amqp does.

        Returns a channel that is open. Raises ChannelClosedByBroker if RabbitMQ refuses the
        declaration and no such queue exists.
        """
        try:
            channel.queue_declare(queue, durable=True, arguments=dict(arguments))
        except ChannelClosedByBroker as refused:
            channel = self.connection.channel()
            try:
                channel.queue_declare(queue, passive=True)
            except ChannelClosedByBroker:
                raise refused from None
            self._note_use_as_it_is(queue, refused.reply_text)
        return channel

    def _note_use_as_it_is(self, queue: str, why: str) -> None:
        if queue not in self._broker.used_as_they_are:
            self._broker.used_as_they_are.add(queue)
            log.warning(topology.USED_AS_IT_IS, queue=queue, why=why)


@contextmanager
def _lost_connections() -> Iterator[None]:
    """Raise pika's errors as Dramatiq's ConnectionClosed."""
    try:
        yield
    except LOST as error:
        raise ConnectionClosed(error) from None
