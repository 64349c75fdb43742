import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from outbox.amqp import connection, messages
from outbox.amqp.messages import Dispatch
from outbox.amqp.publisher import Outcome, Publisher
from tests.support.engine.rabbit import Rabbit
from tests.support.network.proxy import Proxy

T = TypeVar("T")
ACK_BYTES = 21


def dispatches(count: int, queue: str) -> list[Dispatch]:
    """Dispatches of new jobs."""
    return [Dispatch(str(uuid4()), 1, "test.note", queue) for _ in range(count)]


def with_publisher(
    amqp_url: str, use: Callable[[Publisher[Dispatch]], Coroutine[Any, Any, T]]
) -> T:
    """Use a publisher on a new link."""

    async def run() -> T:
        async with connection.connect(amqp_url) as opened:
            return await use(Publisher(opened, messages.frames))

    return asyncio.run(run())


async def _publish(
    publisher: Publisher[Dispatch], dispatches: Sequence[Dispatch]
) -> Outcome[Dispatch]:
    return await publisher.outcome(await publisher.send(dispatches))


def test_what_the_broker_has_taken_is_confirmed(amqp_url: str, rabbit: Rabbit, queue: str) -> None:
    batch = dispatches(500, queue)

    rabbit.declare(queue)
    outcome = with_publisher(amqp_url, lambda publisher: _publish(publisher, batch))
    assert outcome.refused == []
    assert set(outcome.confirmed) == set(batch)
    assert [messages.decode(body, queue) for body in rabbit.take(queue)] == batch


def test_what_the_broker_cannot_route_is_refused_alone(
    amqp_url: str, rabbit: Rabbit, queue: str, new_queue: Callable[[], str]
) -> None:
    """The broker returns it and then acknowledges it, like the others."""
    good, lost = dispatches(20, queue), dispatches(20, new_queue())
    mixed = [each for pair in zip(good, lost, strict=True) for each in pair]
    rabbit.declare(queue)

    outcome = with_publisher(amqp_url, lambda publisher: _publish(publisher, mixed))
    assert set(outcome.confirmed) == set(good)
    assert set(outcome.refused) == set(lost)


def test_a_dispatch_refused_once_may_be_taken_the_next_time(
    amqp_url: str, rabbit: Rabbit, queue: str
) -> None:
    batch = dispatches(1, queue)

    async def twice(publisher: Publisher[Dispatch]) -> tuple[Outcome[Dispatch], Outcome[Dispatch]]:
        first = await _publish(publisher, batch)
        rabbit.declare(queue)
        return first, await _publish(publisher, batch)

    first, second = with_publisher(amqp_url, twice)
    assert (first.refused, second.confirmed) == (batch, batch)


def test_a_full_queue_nacks_its_own_dispatches_and_no_others(
    amqp_url: str, rabbit: Rabbit, queue: str, new_queue: Callable[[], str]
) -> None:
    full = new_queue()
    good, bad = dispatches(20, queue), dispatches(20, full)
    rabbit.declare(queue)
    rabbit.fill(full)

    async def twice(publisher: Publisher[Dispatch]) -> tuple[Outcome[Dispatch], Outcome[Dispatch]]:
        first = await _publish(publisher, [*good, *bad])
        before = publisher._stream
        rabbit.take(full)
        second = await _publish(publisher, bad[:1])
        assert publisher._stream is not before  # over which RabbitMQ 3.10 may nack for ever
        return first, second

    first, second = with_publisher(amqp_url, twice)
    assert (set(first.confirmed), first.refused) == (set(good), [])
    assert set(first.nacked) == set(bad)
    assert second.confirmed == bad[:1]


def test_of_several_batches_on_their_way_each_has_its_own_outcome(
    amqp_url: str, rabbit: Rabbit, queue: str, new_queue: Callable[[], str]
) -> None:
    full, gone = new_queue(), new_queue()
    rabbit.declare(queue)
    rabbit.fill(full)
    given = [dispatches(20, full), dispatches(300, queue), dispatches(20, gone), []]

    async def send_all(publisher: Publisher[Dispatch]) -> list[Outcome[Dispatch]]:
        sent = [await publisher.send(batch) for batch in given]
        before = publisher._stream
        outcomes = [await publisher.outcome(each) for each in sent]
        assert before
        assert not before.channel.is_open  # the last of them closed it, and none was cut off
        return outcomes

    nacked, confirmed, refused, nothing = with_publisher(amqp_url, send_all)
    assert (nacked.nacked, nacked.confirmed) == (given[0], [])
    assert (confirmed.confirmed, confirmed.nacked) == (given[1], [])
    assert (refused.refused, refused.confirmed) == (given[2], [])
    assert nothing == Outcome()


def test_what_is_sent_after_a_nack_goes_over_a_new_channel(
    amqp_url: str, rabbit: Rabbit, queue: str
) -> None:
    rabbit.fill(queue)

    async def send_after_a_nack(publisher: Publisher[Dispatch]) -> bool:
        sending = await publisher.send(dispatches(1, queue))
        await sending.end()
        return (await publisher.send([])).stream is sending.stream

    assert with_publisher(amqp_url, send_after_a_nack) is False


def test_patience_with_a_broker_that_blocks_begins_when_a_batch_is_sent(
    proxy: Proxy, amqp_url: str, rabbit: Rabbit, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outbox.amqp.publisher.CONFIRM_TIMEOUT_SECONDS", 1)
    rabbit.declare(queue)

    async def wait_for_two(publisher: Publisher[Dispatch]) -> tuple[list[Outcome[Dispatch]], float]:
        await _publish(publisher, dispatches(1, queue))
        proxy.swallow()
        publisher._link.unblocked.clear()
        sent = [await publisher.send(dispatches(5, queue)) for _ in range(2)]
        began = time.monotonic()
        outcomes = [await publisher.outcome(each) for each in sent]
        assert publisher._stream
        assert not publisher._stream.is_sound  # an answer may come yet
        proxy.cut_swallowed()
        return outcomes, time.monotonic() - began

    outcomes, seconds = with_publisher(proxy.url(amqp_url), wait_for_two)
    assert outcomes == [Outcome(), Outcome()]
    assert seconds < 1.9


def test_a_link_lost_on_the_way_gives_what_is_known(
    proxy: Proxy, amqp_url: str, rabbit: Rabbit, queue: str
) -> None:
    batch = dispatches(2000, queue)
    rabbit.declare(queue)

    async def cut_at_first_confirm(publisher: Publisher[Dispatch]) -> Outcome[Dispatch]:
        await _publish(publisher, dispatches(1, queue))
        proxy.cut_after(ACK_BYTES)
        return await _publish(publisher, batch)

    outcome = with_publisher(proxy.url(amqp_url), cut_at_first_confirm)
    assert 0 < len(outcome.confirmed) < len(batch)
    assert outcome.refused == []
    arrived = {messages.decode(body, queue) for body in rabbit.take(queue)}
    assert set(outcome.confirmed) <= arrived


def test_over_a_link_already_lost_nothing_is_published(
    proxy: Proxy, amqp_url: str, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)

    async def cut_first(publisher: Publisher[Dispatch]) -> None:
        await _publish(publisher, dispatches(1, queue))
        proxy.cut()
        await publisher._link.lost
        await _publish(publisher, dispatches(3, queue))

    with pytest.raises(connection.BrokerGone):
        with_publisher(proxy.url(amqp_url), cut_first)
    assert rabbit.depth(queue) == 1
