"""Asks RabbitMQ over AMQP, without changing anything there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import ChannelClosedByBroker, ConnectionBlockedTimeout

from outbox.amqp.connection import look, parameters, server_version

SECONDS = 3.0
NOT_FOUND, REFUSED, PRECONDITION_FAILED = 404, 403, 406
NEVER_VALID = {"x-expires": -1}
"""An argument with which RabbitMQ declares no queue. It looks at the user's rights before."""
NEVER_CONSUMES = {"x-priority": "none"}
"""The same for consuming."""


class Blocked(Exception):
    """RabbitMQ takes no message from any publisher, and closes no channel for it."""


class Broker:
    """One RabbitMQ."""

    def __init__(self, amqp_url: str) -> None:
        self._url = amqp_url

    @property
    def user(self) -> str:
        """Who this process logs in as."""
        return str(getattr(parameters(self._url)[0].credentials, "username", "of the certificate"))

    @property
    def vhost(self) -> str:
        """The virtual host."""
        return str(parameters(self._url)[0].virtual_host)

    @contextmanager
    def connection(self) -> Iterator[BlockingConnection]:
        """A connection. Raises BrokerGone."""
        with look(self._url, SECONDS) as connection:
            yield connection

    def version(self) -> str:
        """Such as `3.10.8`. Raises BrokerGone."""
        with self.connection() as connection:
            return server_version(connection)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What RabbitMQ answered when it closed a channel."""

    code: int
    text: str

    @property
    def is_missing(self) -> bool:
        """Whether there is no such thing."""
        return self.code == NOT_FOUND

    @property
    def is_forbidden(self) -> bool:
        """Whether the user lacks a right."""
        return self.code == REFUSED

    @property
    def is_mismatch(self) -> bool:
        """Whether there is such a queue with other arguments."""
        return self.code == PRECONDITION_FAILED

    @property
    def reason(self) -> str:
        """The text without the name of the code."""
        return self.text.partition(" - ")[2] or self.text


def refusal(
    connection: BlockingConnection, ask: Callable[[BlockingChannel], object]
) -> Refusal | None:
    """How RabbitMQ refuses what is asked on a channel of its own; None if it does not."""
    channel = connection.channel()
    try:
        ask(channel)
    except ChannelClosedByBroker as closed:
        return Refusal(closed.reply_code, closed.reply_text)
    channel.close()
    return None


def looked_at(connection: BlockingConnection, queue: str) -> Refusal | None:
    """How RabbitMQ refuses to say whether the queue exists; None if it exists."""
    return refusal(connection, lambda channel: channel.queue_declare(queue, passive=True))


def may_configure(connection: BlockingConnection, queue: str) -> bool:
    """Whether the user may declare the queue. Declares none: the arguments are not valid."""
    refused = refusal(
        connection,
        lambda channel: channel.queue_declare(queue, durable=True, arguments=NEVER_VALID),
    )
    return refused is None or not refused.is_forbidden


def may_read(connection: BlockingConnection, queue: str) -> bool:
    """Whether the user may consume the queue. Consumes nothing: the arguments are not valid."""
    refused = refusal(
        connection,
        lambda channel: channel.basic_consume(queue, lambda *_: None, arguments=NEVER_CONSUMES),
    )
    return refused is None or not refused.is_forbidden


def may_write(connection: BlockingConnection) -> bool:
    """Whether the user may publish to queues. What it publishes is for no queue, and is dropped.

    Raises Blocked.
    """

    def publish(channel: BlockingChannel) -> None:
        channel.confirm_delivery()
        channel.basic_publish("", f"duly.doctor.{uuid4()}", b"")

    try:
        refused = refusal(connection, publish)
    except ConnectionBlockedTimeout:
        raise Blocked from None
    return refused is None or not refused.is_forbidden
