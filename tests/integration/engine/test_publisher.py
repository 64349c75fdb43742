import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from uuid import uuid4

from outbox import link, wire
from outbox.publisher import Outcome, Publisher
from outbox.wire import Dispatch
from tests.integration.engine.rabbit import Rabbit
from tests.proxy import Proxy
from tests.wait import wait_for

T = TypeVar("T")
ACK_BYTES = 21


def dispatches(count: int, queue: str) -> list[Dispatch]:
    """Dispatches of new jobs."""
    return [Dispatch(uuid4(), 1, "test.note", queue) for _ in range(count)]


def with_publisher(amqp_url: str, use: Callable[[Publisher], Coroutine[Any, Any, T]]) -> T:
    """Use a publisher on a new link."""

    async def run() -> T:
        async with link.connect(amqp_url) as opened:
            return await use(Publisher(opened))

    return asyncio.run(run())


def test_what_the_broker_has_taken_is_confirmed(amqp_url: str, rabbit: Rabbit, queue: str) -> None:
    batch = dispatches(500, queue)

    async def publish(publisher: Publisher) -> Outcome:
        assert await publisher.depth(queue) == 0
        return await publisher.publish(batch)

    outcome = with_publisher(amqp_url, publish)
    assert outcome.refused == []
    assert set(outcome.confirmed) == set(batch)
    assert [wire.decode(body, queue) for body in rabbit.take(queue)] == batch


def test_what_the_broker_cannot_route_is_refused_alone(
    amqp_url: str, rabbit: Rabbit, queue: str, new_queue: Callable[[], str]
) -> None:
    """The broker returns it and then acknowledges it, like the others."""
    good, lost = dispatches(20, queue), dispatches(20, new_queue())
    mixed = [each for pair in zip(good, lost, strict=True) for each in pair]
    rabbit.declare(queue)

    outcome = with_publisher(amqp_url, lambda publisher: publisher.publish(mixed))
    assert set(outcome.confirmed) == set(good)
    assert set(outcome.refused) == set(lost)


def test_a_dispatch_refused_once_may_be_taken_the_next_time(
    amqp_url: str, rabbit: Rabbit, queue: str
) -> None:
    batch = dispatches(1, queue)

    async def twice(publisher: Publisher) -> tuple[Outcome, Outcome]:
        first = await publisher.publish(batch)
        await publisher.depth(queue)
        return first, await publisher.publish(batch)

    first, second = with_publisher(amqp_url, twice)
    assert (first.refused, second.confirmed) == (batch, batch)


def test_what_the_broker_cannot_take_now_is_no_failure_of_its_own(
    amqp_url: str, rabbit: Rabbit, queue: str
) -> None:
    """It has room for one message."""
    rabbit.declare(queue, **{"x-max-length": 1})
    for _ in range(2):
        rabbit.publish(queue, b"there before")
    wait_for("both messages", lambda: rabbit.depth(queue) == 2)

    async def publish(publisher: Publisher) -> tuple[Outcome, bool]:
        return await publisher.publish(dispatches(3, queue)), publisher._link.lost.done()

    outcome, link_is_given_up = with_publisher(amqp_url, publish)
    assert (outcome.confirmed, outcome.refused) == ([], [])
    assert link_is_given_up


def test_batches_at_the_same_time_each_get_their_own_answers(
    amqp_url: str, rabbit: Rabbit, queue: str
) -> None:
    batches = [dispatches(300, queue) for _ in range(4)]
    rabbit.declare(queue)

    async def together(publisher: Publisher) -> list[Outcome]:
        return await asyncio.gather(*(publisher.publish(batch) for batch in batches))

    outcomes = with_publisher(amqp_url, together)
    assert [set(each.confirmed) for each in outcomes] == [set(batch) for batch in batches]


def test_a_link_lost_on_the_way_gives_what_is_known(
    proxy: Proxy, amqp_url: str, rabbit: Rabbit, queue: str
) -> None:
    batch = dispatches(2000, queue)
    rabbit.declare(queue)

    async def cut_at_first_confirm(publisher: Publisher) -> Outcome:
        proxy.cut_after(ACK_BYTES)
        return await publisher.publish(batch)

    outcome = with_publisher(proxy.url(amqp_url), cut_at_first_confirm)
    assert 0 < len(outcome.confirmed) < len(batch)
    assert outcome.refused == []
    arrived = {wire.decode(body, queue) for body in rabbit.take(queue)}
    assert set(outcome.confirmed) <= arrived


def test_on_a_link_already_lost_nothing_is_known(proxy: Proxy, amqp_url: str, queue: str) -> None:
    async def cut_first(publisher: Publisher) -> Outcome:
        proxy.cut()
        await publisher._link.lost
        return await publisher.publish(dispatches(3, queue))

    outcome = with_publisher(proxy.url(amqp_url), cut_first)
    assert (outcome.confirmed, outcome.refused) == ([], [])
