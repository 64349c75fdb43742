"""Dramatiq's RabbitMQ broker with Duly's queues, and consumers that trust no message.

Workers only consume: everything published comes from the outbox, through the relay. So there is no
delay queue, and no middleware that enqueues.
"""

import logging
import math
import threading
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from dramatiq import Middleware
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer, _RabbitmqMessage
from dramatiq.errors import ConnectionClosed
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError, ChannelClosedByBroker

from outbox.amqp import messages, topology
from outbox.amqp.connection import parameters
from outbox.worker.unusable_messages import Unreadable, UnusableMessages

log = structlog.get_logger(__name__)


class Dead(Exception):
    """The job is dead and that is on record: its message goes to `<queue>.XQ`."""


class GiveBack(Exception):
    """The worker stopped before anything was recorded: the message is for another worker."""


class Broker(RabbitmqBroker):
    """Consumes quorum queues and declares them as `outbox.amqp.topology` says."""

    def __init__(self, amqp_url: str, unusable: UnusableMessages) -> None:
        super().__init__(confirm_delivery=True, middleware=[Disposition()])
        self.unusable = unusable
        self.parameters = parameters(amqp_url)

    @property
    def consumer_class(self) -> "type[Consumer]":
        """The consumer that Dramatiq's worker uses."""
        return Consumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Any:
        """Like Dramatiq's, but treats a handshake that times out as a lost connection."""
        try:
            return super().consume(queue_name, prefetch, timeout)
        except AMQPConnectorException as error:
            raise ConnectionClosed(error) from None

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Like Dramatiq's, without the delay queue: delayed jobs wait in Postgres."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.queues_pending.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._ensure_queue(queue_name)

    def _declare_queue(self, queue_name: str) -> None:
        self._ensure(queue_name, topology.work_queue(queue_name))

    def _declare_dq_queue(self, queue_name: str) -> None:
        """Do nothing: there is no delay queue."""

    def _declare_xq_queue(self, queue_name: str) -> None:
        self._ensure(topology.dead_letter_queue(queue_name), topology.dead_letter_queue_arguments())

    def _ensure(self, queue: str, arguments: dict[str, object]) -> None:
        """Declare the queue or use the existing one as it is, as `ensure` in outbox/amqp does.

        Raises ChannelClosedByBroker if RabbitMQ refuses the declaration and no such queue exists.
        """
        try:
            self.channel.queue_declare(queue, durable=True, arguments=arguments)
        except ChannelClosedByBroker as refused:
            del self.channel
            try:
                self.channel.queue_declare(queue, passive=True)
            except ChannelClosedByBroker:
                raise refused from None
            log.warning(topology.USED_AS_IT_IS, queue=queue, why=refused.reply_text)


class Disposition(Middleware):
    """Marks each message with what the executor decided.

    `Dead` sends it to the `.XQ`; any other exception gives it back. Dramatiq would swallow an error
    raised here and acknowledge the message. That loses nothing: the job's outcome is already in
    Postgres, and a job whose message was to be given back is still queued or about to be rescued.
    """

    def after_process_message(
        self,
        broker: Any,  # noqa: ARG002 - the signature is Dramatiq's
        message: Any,
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        """Mark the message for its consumer."""
        if isinstance(exception, Dead):
            message.fail()
        elif exception is not None:
            message.give_back = True


class Consumer(_RabbitmqConsumer):
    """Refuses foreign messages, and answers only for messages that it received itself.

    After a reconnect Dramatiq acknowledges through the new consumer, whose delivery tags start at 1
    again: an old message's tag would match a different message. So old messages are ignored; the
    broker has already requeued them.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.iterator = map(self._remember, self.iterator)  # type: ignore[assignment]
        self._received: Any = None
        self._settled: list[int] = []
        self._settling = threading.Lock()
        self.logger.addFilter(_without_traceback)

    def __next__(self) -> Any:
        message = super().__next__()
        if message is None:
            return None
        message.consumer = self
        message.is_recorded = True
        try:
            fields = vars(message._message)  # noqa: SLF001 - asdict() costs as much as all the rest
            message.dispatch = messages.parse(fields, self.queue_name)
        except messages.Malformed as why:
            self._refuse_foreign(str(why))
            return None
        if message.dispatch.kind not in self.broker.actors:
            self.broker.unusable.put_off(message)
            return None
        return message

    def fresh_copy(self, message: Any) -> Any:
        """A copy of the message for another run, without any trace of how the last run ended."""
        copy: Any = _RabbitmqMessage(message.redelivered, message._tag, message._message)  # noqa: SLF001
        copy.consumer, copy.dispatch, copy.is_recorded = self, message.dispatch, True
        return copy

    def ack(self, message: Any) -> None:
        """Give the message back or acknowledge it. Dramatiq calls this after the actor.

        Does nothing while a success is still to be recorded: the group commit settles the message
        afterwards.
        """
        if getattr(message, "give_back", False):
            self.give_back(message)
        elif message.is_recorded:
            self.settle(message)

    def settle(self, message: Any) -> None:
        """Acknowledge the message, unless another consumer received it. Thread-safe.

        Acknowledgements that several threads hand in are sent together. If the connection is gone,
        there is nothing to do: the broker has requeued the message, and the job's outcome is in
        Postgres.
        """
        if message.consumer is not self:
            return
        with self._settling, suppress(AMQPError):
            self._settled.append(message._tag)  # noqa: SLF001 - Dramatiq keeps it nowhere else
            if len(self._settled) == 1:
                self.connection.add_callback_threadsafe(self._acknowledge)

    def give_back(self, message: Any) -> None:
        """Requeue the message for another worker, under the conditions of `settle`."""
        self._nack_soon(message, requeue=True)

    def nack(self, message: Any) -> None:
        """Send the message to `<queue>.XQ`, under the conditions of `settle`."""
        self._nack_soon(message, requeue=False)

    def _nack_soon(self, message: Any, *, requeue: bool) -> None:
        if message.consumer is not self:
            return
        nack = partial(self._nack_now, message._tag, requeue=requeue)  # noqa: SLF001
        with suppress(AMQPError):
            self.connection.add_callback_threadsafe(nack)

    def _nack(self, tag: int) -> None:
        """Refuse the message last received. Dramatiq calls this for one that it cannot decode."""
        self.known_tags.add(tag)
        try:
            messages.decode(self._received[2], self.queue_name)
        except messages.Malformed as why:
            self._refuse_foreign(str(why))
        else:
            self._refuse_foreign("Dramatiq cannot read it")

    def _remember(self, received: Any) -> Any:
        self._received = received
        return received

    def _refuse_foreign(self, why: str) -> None:
        method, properties, body = self._received
        headers = properties.headers or {}
        message = Unreadable(self, method.delivery_tag, self.queue_name, body, headers)
        self.broker.unusable.keep_foreign(message, why)

    def _nack_now(self, tag: int, *, requeue: bool) -> None:
        self.channel.basic_nack(tag, requeue=requeue)
        self.known_tags.discard(tag)

    def _acknowledge(self) -> None:
        """Send one acknowledgement for all settled messages older than the oldest unanswered one.

        The rest are acknowledged one by one. RabbitMQ logs each acknowledgement separately, however
        many messages it covers. `known_tags` holds the tags without an answer. Only the consumer's
        thread removes a tag, and only as it sends the answer. Otherwise this could acknowledge a
        message that is still to be refused.
        """
        with self._settling:
            settled, self._settled = self._settled, []
        self.known_tags.difference_update(settled)
        oldest = min(self.known_tags, default=math.inf)
        alone = [(tag, False) for tag in settled if tag > oldest]
        together = [(tag, True) for tag in settled if tag < oldest]
        *others, last = alone + sorted(together)[-1:]
        for answer in others:
            self.channel._impl.basic_ack(*answer)  # noqa: SLF001 - the blocking one writes each alone
        self.channel.basic_ack(*last)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Drop tracebacks, because that of a message that is not JSON quotes all of it."""
    record.exc_info = None
    return True
