"""One acknowledgement for many messages, which takes none along that has another answer to come."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import dramatiq
import pytest

from outbox.amqp import topology
from outbox.amqp.messages import Dispatch, encode
from outbox.worker.broker import Broker, Consumer
from outbox.worker.records.group_commit import GroupCommit
from outbox.worker.unusable_messages import PATIENCE, UnusableMessages
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for


@pytest.fixture
def consumer(amqp_url: str, rabbit: Rabbit, queue: str) -> Iterator[Consumer]:
    """A worker's, of a queue that holds nothing yet."""
    rabbit.declare(queue)
    broker = Broker(amqp_url, UnusableMessages(GroupCommit("", "w1"), PATIENCE))
    dramatiq.Actor(
        print, broker=broker, actor_name="note", queue_name=queue, priority=0, options={}
    )
    consumer = broker.consume(queue, prefetch=100, timeout=100)
    assert isinstance(consumer, Consumer)
    yield consumer
    if consumer.connection.is_open:
        consumer.close()  # type: ignore[no-untyped-call]
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


def delivered(consumer: Consumer, rabbit: Rabbit, queue: str, count: int) -> list[Any]:
    """So many messages, which the consumer has read."""
    for _ in range(count):
        rabbit.publish(queue, message(queue))
    return read(consumer, count)


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


def assert_refused(rabbit: Rabbit, queue: str, body: bytes) -> None:
    """This and nothing else has come to the queue's dead letters."""
    consumer = topology.dead_letter_queue(queue)
    wait_for("the dead letter", lambda: rabbit.depth(consumer))
    assert rabbit.take(consumer) == [body]


def test_messages_with_none_older_are_one_acknowledgement(
    consumer: Consumer, rabbit: Rabbit, queue: str
) -> None:
    *settled, kept = delivered(consumer, rabbit, queue, 5)
    before = frames_sent(consumer)
    for each in reversed(settled):
        consumer.settle(each)
    next(consumer)
    assert frames_sent(consumer) == before + 1
    assert left(consumer, rabbit, queue) == {kept.encode()}


def test_a_message_older_than_those_acknowledged_stays_with_its_job(
    consumer: Consumer, rabbit: Rabbit, queue: str
) -> None:
    first, slow, third, fourth = delivered(consumer, rabbit, queue, 4)
    for each in (fourth, first, third):
        consumer.settle(each)
    assert left(consumer, rabbit, queue) == {slow.encode()}


def test_a_message_given_back_is_not_acknowledged_with_a_younger_one_that_is_answered_first(
    consumer: Consumer, rabbit: Rabbit, queue: str
) -> None:
    given_back, done = delivered(consumer, rabbit, queue, 2)
    consumer.settle(done)
    consumer.give_back(given_back)
    assert left(consumer, rabbit, queue) == {given_back.encode()}


def test_a_message_refused_is_not_acknowledged_with_a_younger_one_that_is_answered_first(
    consumer: Consumer, rabbit: Rabbit, queue: str
) -> None:
    refused, done = delivered(consumer, rabbit, queue, 2)
    consumer.settle(done)
    consumer.nack(refused)
    assert left(consumer, rabbit, queue) == set()
    assert_refused(rabbit, queue, refused.encode())


def test_messages_younger_than_one_refused_are_one_acknowledgement_once_it_is_answered(
    consumer: Consumer, rabbit: Rabbit, queue: str
) -> None:
    refused, *settled = delivered(consumer, rabbit, queue, 4)
    consumer.nack(refused)
    next(consumer)
    before = frames_sent(consumer)
    for each in settled:
        consumer.settle(each)
    next(consumer)
    assert frames_sent(consumer) == before + 1


def test_a_message_settled_counts_as_unanswered_until_that_is_written(
    consumer: Consumer, rabbit: Rabbit, queue: str
) -> None:
    """Or it would be taken along by the acknowledgement of another, and acknowledged again."""
    (only,) = delivered(consumer, rabbit, queue, 1)
    consumer.settle(only)
    assert len(consumer.known_tags) == 1
    next(consumer)
    assert not consumer.known_tags


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
    assert left(consumer, rabbit, queue) == {b"no JSON"}  # the group commit has not written it
