"""Two batches on their way, as they are settled when something ends meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from outbox.amqp import messages
from outbox.amqp.connection import BrokerConnection, BrokerGone, connect
from outbox.amqp.publisher import Publisher
from outbox.amqp.queue_backoff import QueueBackoff
from outbox.relay import pipeline
from outbox.relay.capacity import Capacity
from outbox.relay.pipeline import Pipeline, open_database
from tests.support.engine.by_hand import ByHand
from tests.support.engine.rabbit import Rabbit

LEFT = "SELECT count(*) AS n FROM duly.outbox_events"
FULL = 10


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is full with a few."""
    monkeypatch.setattr(pipeline, "LARGEST_BATCH", FULL)


def left(by_hand: ByHand) -> int:
    """How many events there are."""
    (row,) = by_hand.take(LEFT)
    return int(row["n"])


@asynccontextmanager
async def moving(
    database_url: str, amqp_url: str, queue: str
) -> AsyncIterator[tuple[Pipeline, BrokerConnection]]:
    """A pipeline with capacity for all there is, and its connection to RabbitMQ."""
    async with (
        open_database(database_url) as one,
        open_database(database_url) as other,
        connect(amqp_url) as link,
    ):
        capacity = Capacity(1000)
        capacity.measure({queue: 0})
        pipeline = Pipeline(
            [one, other], Publisher(link, messages.frames), QueueBackoff(), capacity
        )
        yield pipeline, link


def test_a_batch_is_settled_once_the_next_is_sent_or_there_is_none(
    by_hand: ByHand, rabbit: Rabbit, queue: str, database_url: str, amqp_url: str
) -> None:
    rabbit.declare(queue)
    for _ in range(2 * FULL + 5):
        by_hand.submit(queue)

    async def move() -> list[int]:
        found = []
        async with moving(database_url, amqp_url, queue) as (own, _):
            for _ in range(4):
                await own.move()
                found.append(left(by_hand))
        return found

    assert asyncio.run(move()) == [2 * FULL + 5, FULL + 5, 5, 0]
    assert rabbit.depth(queue) == 2 * FULL + 5


def test_what_was_confirmed_before_the_link_was_lost_is_not_sent_again(
    by_hand: ByHand, rabbit: Rabbit, queue: str, database_url: str, amqp_url: str
) -> None:
    rabbit.declare(queue)
    for _ in range(2 * FULL + 5):
        by_hand.submit(queue)

    async def lose_the_link() -> None:
        async with moving(database_url, amqp_url, queue) as (own, link):
            await own.move()
            assert own._in_flight
            await own._in_flight.sending.end()
            link.lose("it was cut")
            with pytest.raises(BrokerGone):
                await own.move()

    asyncio.run(lose_the_link())
    assert (left(by_hand), rabbit.depth(queue)) == (FULL + 5, FULL)
