"""One acknowledgement for many messages, which takes none along that has another answer to come."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from outbox import topology
from outbox.broker import Broker, Consumer
from outbox.wire import Dispatch, encode
from tests.integration.engine.rabbit import Rabbit
from tests.wait import wait_for


@pytest.fixture
def consumer(amqp_url: str, rabbit: Rabbit, queue: str) -> Iterator[Consumer]:
    """A worker's, of a queue that holds nothing yet."""
    rabbit.declare(queue)
    broker = Broker(amqp_url)
    consumer = broker.consume(queue, prefetch=100, timeout=100)
    assert isinstance(consumer, Consumer)
    yield consumer
    broker.close()


def message(queue: str) -> bytes:
    """That of some job."""
    return encode(Dispatch(str(uuid4()), 1, "note", queue))


def read(consumer: Consumer, count: int) -> list[Any]:
    """The consumer's next messages."""
    messages: list[Any] = []
    while len(messages) < count:
        messages.extend(found for found in [next(consumer)] if found)
    return messages


def received(consumer: Consumer) -> int:
    """How many messages the consumer has that nobody has read."""
    consumer.connection.process_data_events(0)
    return int(consumer.channel.get_waiting_message_count())


def frames_sent(consumer: Consumer) -> int:
    """How often the consumer has written to the broker."""
    sent: int = consumer.connection._impl.frames_sent
    return sent


def left(consumer: Consumer, rabbit: Rabbit, queue: str) -> set[bytes]:
    """What the broker still has when the consumer has written its answers and is gone."""
    consumer.close()  # type: ignore[no-untyped-call]
    return set(rabbit.take(queue))


def test_messages_with_none_older_are_one_acknowledgement(
    consumer: Consumer, rabbit: Rabbit, queue: str
) -> None:
    for _ in range(5):
        rabbit.publish(queue, message(queue))
    *settled, kept = read(consumer, 5)
    before = frames_sent(consumer)
    for each in reversed(settled):
        consumer.settle(each)
    next(consumer)
    assert frames_sent(consumer) == before + 1
    assert left(consumer, rabbit, queue) == {kept.encode()}


def test_a_message_older_than_those_acknowledged_stays_with_its_job(
    consumer: Consumer, rabbit: Rabbit, queue: str
) -> None:
    for _ in range(4):
        rabbit.publish(queue, message(queue))
    first, slow, third, fourth = read(consumer, 4)
    for each in (fourth, first, third):
        consumer.settle(each)
    assert left(consumer, rabbit, queue) == {slow.encode()}


def test_a_message_given_back_or_refused_is_not_acknowledged_with_younger_ones(
    consumer: Consumer, rabbit: Rabbit, queue: str
) -> None:
    """Not even where their acknowledgement was asked for first, and so is written first."""
    for _ in range(3):
        rabbit.publish(queue, message(queue))
    given_back, refused, done = read(consumer, 3)
    consumer.settle(done)
    consumer.give_back(given_back)
    consumer.nack(refused)
    assert left(consumer, rabbit, queue) == {given_back.encode()}
    dead_letters = topology.dead_letter_queue(queue)
    wait_for("the refused one", lambda: rabbit.take(dead_letters) == [refused.encode()])


def test_what_is_no_message_is_not_acknowledged_with_younger_ones(
    consumer: Consumer, rabbit: Rabbit, queue: str
) -> None:
    for body in (message(queue), b"no JSON", message(queue)):
        rabbit.publish(queue, body)
    (first,) = read(consumer, 1)
    wait_for("the others", lambda: received(consumer) == 2)
    consumer.settle(first)
    (last,) = read(consumer, 1)
    consumer.settle(last)
    assert left(consumer, rabbit, queue) == set()
    dead_letters = topology.dead_letter_queue(queue)
    wait_for("what is no message", lambda: rabbit.take(dead_letters) == [b"no JSON"])
