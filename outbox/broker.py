"""Dramatiq's RabbitMQ broker with Duly's queues, and consumers that trust nothing.

Workers only consume: what is published comes from the outbox, by the relay. So there is no delay
queue, and no middleware that enqueues.
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

from outbox import topology, wire
from outbox.link import parameters
from outbox.unfit import Unfit, Unreadable

log = structlog.get_logger(__name__)


class Dead(Exception):
    """The job has failed for good and that is written: its message goes to `<queue>.XQ`."""


class GiveBack(Exception):
    """This worker stops before it could record anything: the message is for another."""


class Broker(RabbitmqBroker):
    """Consumes quorum queues; declares what `outbox.topology` says."""

    def __init__(self, amqp_url: str, unfit: Unfit) -> None:
        super().__init__(confirm_delivery=True, middleware=[Disposition()])
        self.unfit = unfit
        self.parameters = parameters(amqp_url)

    @property
    def consumer_class(self) -> "type[Consumer]":
        """The consumer that Dramatiq's worker uses."""
        return Consumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Any:
        """As Dramatiq's, which does not know the error of a handshake that takes too long."""
        try:
            return super().consume(queue_name, prefetch, timeout)
        except AMQPConnectorException as error:
            raise ConnectionClosed(error) from None

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """As Dramatiq's, without the delay queue: what is delayed waits in Postgres."""
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
        """There is none."""

    def _declare_xq_queue(self, queue_name: str) -> None:
        self._ensure(topology.dead_letter_queue(queue_name), topology.dead_letter_intake())

    def _ensure(self, queue: str, arguments: dict[str, object]) -> None:
        """As `outbox.channel.ensure`. Raises ChannelClosedByBroker where there is no such queue."""
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
    """Does with a message what the runner decided.

    `Dead` sends it to the `.XQ`, any other exception gives it back. An error here is swallowed and
    the message acknowledged, which loses nothing: what became of the job is already in Postgres
    (where a message is given back, the job is still queued there, or about to be rescued).
    """

    def after_process_message(
        self,
        broker: Any,  # noqa: ARG002 - the signature is Dramatiq's
        message: Any,
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        """Mark the message for the consumer."""
        if isinstance(exception, Dead):
            message.fail()
        elif exception is not None:
            message.give_back = True


class Consumer(_RabbitmqConsumer):
    """Refuses what is no message of ours, and acknowledges only what it received itself.

    After a reconnect Dramatiq acknowledges through the new consumer, whose tags begin at 1 again:
    the tag of a message from before would hit another one. Such a message is left alone: the
    broker has given it back already.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.iterator = map(self._note, self.iterator)  # type: ignore[assignment]
        self._received: Any = None
        self._settled: list[int] = []
        self._settling = threading.Lock()
        self.logger.addFilter(_without_traceback)

    def __next__(self) -> Any:
        message = super().__next__()
        if message is None:
            return None
        message.consumer = self
        message.is_on_record = True
        try:
            fields = vars(message._message)  # noqa: SLF001 - asdict() costs as much as all the rest
            message.dispatch = wire.parse(fields, self.queue_name)
        except wire.Malformed as why:
            self._refuse_foreign(str(why))
            return None
        if message.dispatch.kind not in self.broker.actors:
            self.broker.unfit.put_off(message)
            return None
        return message

    def begun_anew(self, message: Any) -> Any:
        """The same message for another run, with nothing in it of how the last one ended."""
        anew: Any = _RabbitmqMessage(message.redelivered, message._tag, message._message)  # noqa: SLF001
        anew.consumer, anew.dispatch, anew.is_on_record = self, message.dispatch, True
        return anew

    def ack(self, message: Any) -> None:
        """What Dramatiq calls after the actor: acknowledge, or give back, if that can be said yet.

        Not where the ledger is still about to record the success: it settles the message then.
        """
        if getattr(message, "give_back", False):
            self.give_back(message)
        elif message.is_on_record:
            self.settle(message)

    def settle(self, message: Any) -> None:
        """Acknowledge; nothing at all for a message of another consumer. From any thread.

        Together with what other threads have settled before it is written. Without its connection
        there is nothing to be done: the broker has taken the message back, and what became of the
        job is in Postgres.
        """
        if message.consumer is not self:
            return
        with self._settling, suppress(AMQPError):
            self._settled.append(message._tag)  # noqa: SLF001 - Dramatiq keeps it nowhere else
            if len(self._settled) == 1:
                self.connection.add_callback_threadsafe(self._acknowledge)

    def give_back(self, message: Any) -> None:
        """Let another worker have the message; nothing at all as `settle`."""
        self._refuse_soon(message, requeue=True)

    def nack(self, message: Any) -> None:
        """Send to `<queue>.XQ`; nothing at all for a message of another consumer."""
        self._refuse_soon(message, requeue=False)

    def _refuse_soon(self, message: Any, *, requeue: bool) -> None:
        if message.consumer is not self:
            return
        refuse = partial(self._refuse, message._tag, requeue=requeue)  # noqa: SLF001
        with suppress(AMQPError):
            self.connection.add_callback_threadsafe(refuse)

    def _nack(self, tag: int) -> None:
        """What Dramatiq does with a message that it cannot read, and has no known tag of."""
        self.known_tags.add(tag)
        try:
            wire.decode(self._received[2], self.queue_name)
        except wire.Malformed as why:
            self._refuse_foreign(str(why))
        else:
            self._refuse_foreign("Dramatiq cannot read it")

    def _note(self, received: Any) -> Any:
        self._received = received
        return received

    def _refuse_foreign(self, why: str) -> None:
        method, properties, body = self._received
        headers = properties.headers or {}
        message = Unreadable(self, method.delivery_tag, self.queue_name, body, headers)
        self.broker.unfit.keep_foreign(message, why)

    def _refuse(self, tag: int, *, requeue: bool) -> None:
        self.channel.basic_nack(tag, requeue=requeue)
        self.known_tags.discard(tag)

    def _acknowledge(self) -> None:
        """One acknowledgement for all that are older than what is not answered yet.

        RabbitMQ writes each acknowledgement down by itself, however many messages it is of.
        `known_tags` are those that it has no answer to. Only the consumer's thread takes any out,
        as it writes the answer: what is yet to be refused would be acknowledged here.
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
    """Leaves out the error of a message that is no JSON, which quotes all of it."""
    record.exc_info = None
    return True
