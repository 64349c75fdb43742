"""One acknowledgement for many messages, which takes none along that has another answer to come."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from outbox.amqp import topology
from outbox.amqp.messages import Dispatch, decode, encode
from outbox.worker.broker import Broker, Delivery, Foreign
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for


class Receiving:
    """A worker's consumer, and what it has received."""

    def __init__(self, amqp_url: str, queue: str) -> None:
        self.deliveries: list[Delivery] = []
        self.foreign: list[Foreign] = []
        receive = self.deliveries.append
        broker = Broker(amqp_url, {queue: 100}, receive, lambda each, _: self.foreign.append(each))
        self.consumer = broker.consume(queue, timeout=100)

    def read(self, count: int) -> list[Delivery]:
        """The next messages of jobs."""
        wanted = len(self.deliveries) + count
        while len(self.deliveries) < wanted:
            next(self.consumer)
        return self.deliveries[-count:]

    @property
    def unanswered(self) -> set[int]:
        """The tags of the messages that the broker has no answer to."""
        return self.consumer.answers.unanswered


@pytest.fixture
def consumer(amqp_url: str, rabbit: Rabbit, queue: str) -> Iterator[Receiving]:
    """A worker's, of a queue that holds nothing yet."""
    rabbit.declare(queue)
    receiving = Receiving(amqp_url, queue)
    yield receiving
    receiving.consumer.close()


def message(queue: str) -> bytes:
    """That of some job."""
    return encode(Dispatch(str(uuid4()), 1, "note", queue))


def delivered(consumer: Receiving, rabbit: Rabbit, queue: str, count: int) -> list[Delivery]:
    """So many messages, which the consumer has read."""
    for _ in range(count):
        rabbit.publish(queue, message(queue))
    return consumer.read(count)


def received(consumer: Receiving) -> int:
    """How many messages the consumer has that nobody has read."""
    consumer.consumer.connection.process_data_events(0)
    return int(consumer.consumer.channel.get_waiting_message_count())


def frames_sent(consumer: Receiving) -> int:
    """How often the consumer has written to the broker."""
    sent: int = consumer.consumer.connection._impl.frames_sent
    return sent


def left(consumer: Receiving, rabbit: Rabbit, queue: str) -> set[Dispatch]:
    """The jobs whose messages the broker still has once the consumer is gone."""
    consumer.consumer.close()
    return {decode(body, queue) for body in rabbit.take(queue)}


def assert_refused(rabbit: Rabbit, queue: str, refused: Delivery) -> None:
    """This and nothing else has come to the queue's dead letters."""
    consumer = topology.dead_letter_queue(queue)
    wait_for("the dead letter", lambda: rabbit.depth(consumer))
    (body,) = rabbit.take(consumer)
    assert decode(body, queue) == refused.dispatch


def test_messages_with_none_older_are_one_acknowledgement(
    consumer: Receiving, rabbit: Rabbit, queue: str
) -> None:
    *settled, kept = delivered(consumer, rabbit, queue, 5)
    before = frames_sent(consumer)
    for each in reversed(settled):
        each.settle()
    next(consumer.consumer)
    assert frames_sent(consumer) == before + 1
    assert left(consumer, rabbit, queue) == {kept.dispatch}


def test_a_message_older_than_those_acknowledged_stays_with_its_job(
    consumer: Receiving, rabbit: Rabbit, queue: str
) -> None:
    first, slow, third, fourth = delivered(consumer, rabbit, queue, 4)
    for each in (fourth, first, third):
        each.settle()
    assert left(consumer, rabbit, queue) == {slow.dispatch}


def test_a_message_given_back_is_not_acknowledged_with_a_younger_one_that_is_answered_first(
    consumer: Receiving, rabbit: Rabbit, queue: str
) -> None:
    given_back, done = delivered(consumer, rabbit, queue, 2)
    done.settle()
    given_back.give_back()
    assert left(consumer, rabbit, queue) == {given_back.dispatch}


def test_a_message_refused_is_not_acknowledged_with_a_younger_one_that_is_answered_first(
    consumer: Receiving, rabbit: Rabbit, queue: str
) -> None:
    refused, done = delivered(consumer, rabbit, queue, 2)
    done.settle()
    refused.reject()
    assert left(consumer, rabbit, queue) == set()
    assert_refused(rabbit, queue, refused)


def test_messages_younger_than_one_refused_are_one_acknowledgement_once_it_is_answered(
    consumer: Receiving, rabbit: Rabbit, queue: str
) -> None:
    refused, *settled = delivered(consumer, rabbit, queue, 4)
    refused.reject()
    next(consumer.consumer)
    before = frames_sent(consumer)
    for each in settled:
        each.settle()
    next(consumer.consumer)
    assert frames_sent(consumer) == before + 1


def test_a_message_settled_counts_as_unanswered_until_that_is_written(
    consumer: Receiving, rabbit: Rabbit, queue: str
) -> None:
    """Or it would be taken along by the acknowledgement of another, and acknowledged again."""
    (only,) = delivered(consumer, rabbit, queue, 1)
    only.settle()
    assert len(consumer.unanswered) == 1
    next(consumer.consumer)
    assert not consumer.unanswered


def test_what_is_no_message_is_not_acknowledged_with_younger_ones(
    consumer: Receiving, rabbit: Rabbit, queue: str
) -> None:
    for body in (message(queue), b"no JSON", message(queue)):
        rabbit.publish(queue, body)
    (first,) = consumer.read(1)
    wait_for("the others", lambda: received(consumer) == 2)
    first.settle()
    (last,) = consumer.read(1)
    last.settle()
    consumer.consumer.close()
    assert rabbit.take(queue) == [b"no JSON"]
