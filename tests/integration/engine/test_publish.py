"""Messages to other services, from the transaction that publishes them to their queue."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from pydantic import BaseModel
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from outbox import job_sessions, publish, submit
from outbox.maintenance.pruning import message_pruner
from outbox.operations import acts, dead_letters
from outbox.operations.acts import ActFilter
from outbox.operations.dead_letters import DeadLetterFilter
from outbox.operations.flow import outgoing
from outbox.operations.flow.outgoing import MessageFilter
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.session_settings import connect_async
from outbox.relay.outgoing import pipeline, unsendable
from outbox.relay.outgoing.loop import OutgoingMessages
from outbox.submission.pending import WAKE_UP
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, note_kind
from tests.support.engine.rabbit import Rabbit
from tests.support.network import proxy
from tests.support.wait import wait_for

LEFT = "SELECT FROM duly.outgoing_messages WHERE sent_at IS NULL"
ALL = "SELECT FROM duly.outgoing_messages"
AT_ONCE = (
    "UPDATE duly.outgoing_messages SET deferred_until = now() WHERE deferred_until < 'infinity'"
)


class Shipped(BaseModel):
    """What other services are told."""

    order_id: int


def publish_now(engine: Engine, exchange: str, routing_key: str, *orders: int) -> None:
    """Publish, and commit."""
    with Session(engine) as session, session.begin():
        for order in orders:
            publish(session, exchange, routing_key, Shipped(order_id=order), type="order.shipped")


def orders(rabbit: Rabbit, queue: str) -> list[int]:
    """The orders in the queue's messages, which leave it by this."""
    return [Shipped.model_validate_json(body).order_id for body in rabbit.take(queue)]


def test_a_message_is_sent_once_its_transaction_has_committed(
    line: Line, engine: Engine, by_hand: ByHand, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)
    line.start_relay()
    with Session(engine) as session:
        publish(session, "", queue, Shipped(order_id=1), type="order.shipped")
        session.rollback()
        sent = publish(
            session,
            "",
            queue,
            Shipped(order_id=2),
            type="order.shipped",
            source="/shop",
            headers={"tenant": "t1", "n": 2**40, "is_new": True},
        )
        session.commit()
    wait_for("the message", lambda: rabbit.depth(queue) == 1)
    ((properties, body),) = rabbit.take_whole(queue)
    assert body == b'{"order_id":2}'
    assert properties.message_id == str(sent.id)
    assert properties.delivery_mode == 2
    assert properties.content_type == "application/json"
    headers = {name: each for name, each in properties.headers.items() if name[:2] != "x-"}
    assert datetime.fromisoformat(headers.pop("cloudEvents:time")) <= datetime.now(UTC)
    assert headers == {
        "tenant": "t1",
        "n": 2**40,
        "is_new": True,
        "cloudEvents:specversion": "1.0",
        "cloudEvents:id": str(sent.id),
        "cloudEvents:type": "order.shipped",
        "cloudEvents:source": "/shop",
    }
    wait_for("it is on record", lambda: by_hand.take(LEFT) == [])


def test_messages_belong_to_their_savepoint(engine: Engine, by_hand: ByHand) -> None:
    with Session(engine) as session, session.begin():
        kept = session.begin_nested()
        publish(session, "", "kept", b"1", type="t")
        kept.commit()
        dropped = session.begin_nested()
        publish(session, "", "dropped", b"2", type="t")
        dropped.rollback()
    found = by_hand.take("SELECT routing_key FROM duly.outgoing_messages")
    assert found == [{"routing_key": "kept"}]


def test_jobs_and_messages_are_sent_with_the_commit(database_url: str, by_hand: ByHand) -> None:
    with proxy.before(database_url) as counting:
        engine = create_async_engine(sqlalchemy_url(counting.url(database_url)))
        sessions = job_sessions(engine, info={WAKE_UP: lambda _: None})

        async def commit() -> int:
            async with sessions() as session:
                await session.execute(text("SELECT"))
                before = counting.round_trips
                submit(session, note_kind("q")())
                publish(session, "", "q", b"1", type="t")
                await session.commit()
                return counting.round_trips - before

        async def both() -> list[int]:
            counts = [await commit() for _ in range(3)]
            await engine.dispose()
            return counts

        counts = asyncio.run(both())
    assert counts[-1] == 1
    assert len(by_hand.take(ALL)) == len(by_hand.take("SELECT FROM duly.outbox_events")) == 3


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_any_driver_writes_messages(database_url: str, by_hand: ByHand, driver: str) -> None:
    async def commit() -> None:
        url = sqlalchemy_url(database_url).set(drivername=f"postgresql+{driver}", query={})
        engine = create_async_engine(url)
        async with AsyncSession(engine, info={WAKE_UP: lambda _: None}) as session, session.begin():
            submit(session, note_kind("q")())
            publish(session, "x", "k", b"\x00\xff", type="t")
        await engine.dispose()

    asyncio.run(commit())
    found = by_hand.take("SELECT exchange, routing_key, body FROM duly.outgoing_messages")
    assert found == [{"exchange": "x", "routing_key": "k", "body": b"\x00\xff"}]
    assert len(by_hand.take("SELECT FROM duly.outbox_events")) == 1


def test_an_app_that_publishes_nothing_pays_one_probe_for_each_sweep(
    database_url: str, amqp_url: str, engine: Engine
) -> None:
    async def looks() -> list[int]:
        messages = OutgoingMessages(database_url, amqp_url)
        sleeping = asyncio.create_task(messages.run())
        costs = []
        async with await connect_async(counting.url(database_url)) as database:
            for _ in range(4):
                before = counting.round_trips
                await messages.look(database)
                costs.append(counting.round_trips - before)
                if len(costs) == 2:
                    assert not sleeping.done()
                    await asyncio.to_thread(publish_now, engine, "", "missing", 1)
        messages.stop()
        await sleeping
        return costs

    with proxy.before(database_url) as counting:
        assert asyncio.run(looks()) == [1, 1, 1, 0]


def test_what_is_published_later_is_sent_later(
    line: Line, engine: Engine, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)
    for first in range(0, 300, 100):
        publish_now(engine, "", queue, *range(first, first + 100))
    line.start_relay()
    wait_for("all", lambda: rabbit.depth(queue) == 300)
    assert orders(rabbit, queue) == [*range(300)]


def test_large_messages_are_sent_in_order_too(
    line: Line, engine: Engine, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)
    bodies = [bytes([n]) * 900_000 for n in range(12)]
    with Session(engine) as session, session.begin():
        for body in bodies:
            publish(session, "", queue, body, type="t")
    line.start_relay()
    wait_for("all", lambda: rabbit.depth(queue) == 12)
    assert [body[0] for body in rabbit.take(queue)] == [*range(12)]


def test_a_body_of_several_frames_arrives_whole(
    line: Line, engine: Engine, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)
    body = bytes(range(256)) * 3900
    with Session(engine) as session, session.begin():
        publish(session, "", queue, body, type="t")
        publish(session, "", queue, b"", type="t")
    line.start_relay()
    wait_for("both", lambda: rabbit.depth(queue) == 2)
    assert rabbit.take(queue) == [body, b""]


def test_an_exchange_that_is_missing_or_internal_harms_no_other_message(
    line: Line, engine: Engine, by_hand: ByHand, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)
    with rabbit.exchange(internal=True) as internal, rabbit.exchange(queue) as good:
        for order in range(10):
            publish_now(engine, "missing", "k", order)
            publish_now(engine, internal, "k", order)
            publish_now(engine, good, "k", order)
            publish_now(engine, "", queue, order)
        line.start_relay()
        left = f"{LEFT} AND failures > 0"
        wait_for("the others are refused", lambda: len(by_hand.take(left)) == 20)
        wait_for("these are sent", lambda: rabbit.depth(queue) == 20)
        assert sorted(orders(rabbit, queue)) == sorted([*range(10), *range(10)])


def test_a_message_that_nobody_takes_becomes_a_dead_letter_and_is_sent_once_replayed(
    line: Line,
    engine: Engine,
    by_hand: ByHand,
    rabbit: Rabbit,
    queue: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "FAILURES_ALLOWED", 2)
    monkeypatch.setattr(unsendable, "FAILURES_ALLOWED", 2)
    line.start_relay()
    publish_now(engine, "", queue, 7)

    def letters() -> list[Any]:
        by_hand.take(AT_ONCE)
        with Session(engine) as session:
            return dead_letters.find(session, DeadLetterFilter())

    (found,) = wait_for("the letter", letters)
    with Session(engine) as session, session.begin():
        letter = dead_letters.get(session, found.id)
        assert letter
        assert (letter.reason, letter.queue) == ("unpublishable", queue)
        assert letter.message_body == b'{"order_id":7}'
        assert letter.message_headers["message_id"] == str(letter.outgoing_id)
        assert [each.state for each in outgoing.find(session, MessageFilter())] == ["dead"]

    rabbit.declare(queue)
    with Session(engine) as session, session.begin():
        assert dead_letters.replay(session, [found.id], by="ann", why="the queue is there")
    wait_for("the message", lambda: rabbit.depth(queue) == 1)
    ((properties, _),) = rabbit.take_whole(queue)
    assert properties.message_id == str(letter.outgoing_id)
    with Session(engine) as session:
        (act,) = acts.find(session, ActFilter(about=f"message:{letter.outgoing_id}"))
        assert (act.act, act.who, act.why) == ("replay", "ann", "the queue is there")
        assert not dead_letters.replay(session, [found.id], by="ann")


def test_a_full_queue_counts_no_failure(
    line: Line, engine: Engine, by_hand: ByHand, rabbit: Rabbit, queue: str
) -> None:
    rabbit.fill(queue)
    line.start_relay()
    publish_now(engine, "", queue, 1)
    deferred = "SELECT failures FROM duly.outgoing_messages WHERE deferred_until IS NOT NULL"
    assert wait_for("it is put off", lambda: by_hand.take(deferred)) == [{"failures": 0}]
    rabbit.purge(queue)
    by_hand.take(AT_ONCE)
    wait_for("the message", lambda: rabbit.depth(queue) == 1)


def test_messages_are_sent_again_when_asked_for(
    line: Line, engine: Engine, by_hand: ByHand, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)
    line.start_relay()
    publish_now(engine, "", queue, *range(30))
    wait_for("all", lambda: by_hand.take(LEFT) == [])
    first = [properties.message_id for properties, _ in rabbit.take_whole(queue)]
    before = datetime.now(UTC) - timedelta(hours=1)
    with Session(engine) as session:
        known = acts.find(session, ActFilter(act="resend"))
        until = outgoing.now(session)
        other = {"exchange": "other", "by": "ann"}
        assert outgoing.resend(session, before, until, **other) == 0
        session.commit()
        for most in (30, 0):
            given: Any = {"routing_key": queue, "by": "ann", "why": "the broker was wiped"}
            assert outgoing.resend(session, before, until, **given) == most
            session.commit()
        found = acts.find(session, ActFilter(act="resend"))
    assert [act.things for act in found if act not in known] == [30]
    wait_for("all again", lambda: rabbit.depth(queue) == 30)
    assert [properties.message_id for properties, _ in rabbit.take_whole(queue)] == first


def test_sent_messages_are_deleted_after_their_retention(
    engine: Engine, by_hand: ByHand, sql_now: psycopg.Connection, database_url: str
) -> None:
    publish_now(engine, "", "q", 1, 2, 3)
    old = "UPDATE duly.outgoing_messages SET sent_at = now() - interval '2 days' WHERE position ="
    sql_now.execute(f"{old} (SELECT min(position) FROM duly.outgoing_messages)")
    recent = "UPDATE duly.outgoing_messages SET sent_at = now() WHERE position ="
    sql_now.execute(f"{recent} (SELECT max(position) FROM duly.outgoing_messages)")

    async def prune() -> None:
        running = asyncio.create_task(message_pruner.run(database_url, timedelta(days=1), None))
        await asyncio.to_thread(wait_for, "one less", lambda: len(by_hand.take(ALL)) == 2)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    asyncio.run(prune())
    assert len(by_hand.take(LEFT)) == 1
