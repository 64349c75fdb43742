import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from math import inf
from typing import Any
from uuid import UUID

import pytest

from outbox import Priority
from outbox.amqp import messages, queue_depths
from outbox.amqp.connection import BrokerGone
from outbox.amqp.messages import Dispatch
from outbox.amqp.publisher import Outcome, Publisher, Sending
from outbox.relay import pipeline, poll_policy, unpublishable
from outbox.relay.loop import Relay
from outbox.relay.scan_cursor import Event
from outbox.submission.wake_up import NOTIFY, listen
from tests.integration.engine.looking import looking
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, note_kind, run_aside
from tests.support.engine.rabbit import Rabbit
from tests.support.network.proxy import Proxy
from tests.support.wait import wait_for

LEFT = "SELECT FROM duly.outbox_events"
HAS_WAITED = """
UPDATE duly.outbox_events SET available_at = now() - interval '1 hour' WHERE job_id = %(id)s
"""
LISTENERS = """
SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN _%%'
"""


def test_a_queue_that_no_setting_names_is_served(line: Line, rabbit: Rabbit, queue: str) -> None:
    rabbit.declare(queue)
    line.start_relay()
    line.submit(note_kind(queue)())
    wait_for("its message", lambda: rabbit.depth(queue) == 1)


def test_the_message_refers_to_the_job_and_holds_nothing_of_its_payload(
    line: Line, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)
    job = line.submit(note_kind(queue)(text="a-secret"))
    line.start_relay(queue)
    wait_for("its message", lambda: rabbit.depth(queue) == 1)
    (body,) = rabbit.take(queue)
    assert messages.decode(body, queue) == messages.Dispatch(str(job), 1, "test.note", queue)
    assert b"a-secret" not in body


def test_priority_decides_the_order_of_the_backlog(line: Line, rabbit: Rabbit, queue: str) -> None:
    rabbit.declare(queue)
    kind = note_kind(queue)
    order = (Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.LOW, Priority.HIGH)
    jobs = [line.submit(kind(), priority=priority) for priority in order]
    line.start_relay(queue)
    wait_for("five messages", lambda: rabbit.depth(queue) == 5)
    arrived = [UUID(messages.decode(body, queue).job_id) for body in rabbit.take(queue)]
    assert arrived == [jobs[2], jobs[4], jobs[1], jobs[0], jobs[3]]


def test_a_queue_is_filled_to_its_window_and_no_further(
    line: Line, rabbit: Rabbit, queue: str, new_queue: Callable[[], str], by_hand: ByHand
) -> None:
    def left() -> dict[str, int]:
        """How many events of each queue have not been published."""
        query = "SELECT queue, count(*) AS n FROM duly.outbox_events GROUP BY queue"
        return {row["queue"]: row["n"] for row in by_hand.take(query)}

    other, third = new_queue(), new_queue()
    for each in [queue, other] * 30:
        by_hand.submit(each)

    line.start_relay(queue, other, window=10)
    wait_for("full windows", lambda: left() == {queue: 20, other: 20})
    rabbit.purge(queue)  # all at once: between two messages the relay might fill the window up
    wait_for("room in one window", lambda: left() == {queue: 10, other: 20})
    in_a_later_round = by_hand.submit(third)
    wait_for("a later round", lambda: by_hand.event(in_a_later_round) is None)
    assert left() == {queue: 10, other: 20}
    assert (rabbit.depth(queue), rabbit.depth(other)) == (10, 10)


def test_two_relays_publish_each_event_once(
    line: Line, rabbit: Rabbit, queue: str, by_hand: ByHand
) -> None:
    rabbit.declare(queue)
    for _ in range(2):
        line.start_relay(queue, window=10_000)
    jobs = {by_hand.submit(queue) for _ in range(300)}
    wait_for("an empty outbox", lambda: not by_hand.take("SELECT 1 FROM duly.outbox_events"))
    arrived = [UUID(messages.decode(body, queue).job_id) for body in rabbit.take(queue)]
    assert len(arrived) == 300
    assert set(arrived) == jobs


def test_a_cut_connection_to_the_broker_delays_and_loses_nothing(
    line: Line, rabbit: Rabbit, proxy: Proxy, amqp_url: str, queue: str, by_hand: ByHand
) -> None:
    rabbit.declare(queue)
    line.start_relay(queue, amqp_url=proxy.url(amqp_url), window=10_000)
    jobs = set()
    for _ in range(3):
        wait_for("a connection", lambda: proxy.is_used)
        proxy.cut()
        jobs |= {by_hand.submit(queue) for _ in range(50)}
    wait_for("an empty outbox", lambda: not by_hand.take("SELECT 1 FROM duly.outbox_events"))
    assert {UUID(messages.decode(body, queue).job_id) for body in rabbit.take(queue)} == jobs
    assert by_hand.take("SELECT 1 FROM duly.dead_letters") == []


def test_a_cut_connection_to_postgres_delays_and_loses_nothing(
    line: Line, rabbit: Rabbit, queue: str, by_hand: ByHand, cut_postgres: Callable[[], int]
) -> None:
    rabbit.declare(queue)
    line.start_relay(queue, window=10_000)
    jobs = set()
    for _ in range(3):
        wait_for("connections to cut", cut_postgres)
        jobs |= {by_hand.submit(queue) for _ in range(50)}
    wait_for("an empty outbox", lambda: not by_hand.take("SELECT 1 FROM duly.outbox_events"))
    assert {UUID(messages.decode(body, queue).job_id) for body in rabbit.take(queue)} == jobs


def test_an_outage_of_the_broker_is_no_events_failure(
    line: Line, rabbit: Rabbit, proxy: Proxy, amqp_url: str, queue: str, by_hand: ByHand
) -> None:
    rabbit.declare(queue)
    line.start_relay(queue, amqp_url=proxy.url(amqp_url))
    wait_for("a connection", lambda: proxy.is_used)
    proxy.refuse()
    by_hand.submit(queue)
    wait_for("two more tries", lambda: proxy.refused >= 2)
    assert by_hand.take("SELECT failures FROM duly.outbox_events") == [{"failures": 0}]
    proxy.admit()
    wait_for("its message", lambda: rabbit.depth(queue) == 1)


def test_an_event_refused_too_often_is_buried_and_blocks_no_other(
    line: Line,
    rabbit: Rabbit,
    queue: str,
    by_hand: ByHand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its queue is gone whenever the relay publishes."""
    monkeypatch.setattr(unpublishable, "FAILURES_ALLOWED", 2)
    monkeypatch.setattr(queue_depths.Queues, "_depth", _pretend_it_is_empty)
    rabbit.declare(queue)
    homeless = by_hand.submit(f"{queue}-gone")
    line.start_relay(queue)

    wait_for("its end", lambda: by_hand.job(homeless)["state"] == "dead")
    (letter,) = by_hand.letters(homeless)
    assert letter["reason"] == "unpublishable"
    assert letter["error_message"] == "the broker refused its message 2 times"
    assert by_hand.event(homeless) is None
    good = by_hand.submit(queue)
    wait_for("the good one's message", lambda: by_hand.event(good) is None)
    assert [UUID(messages.decode(body, queue).job_id) for body in rabbit.take(queue)] == [good]


async def _pretend_it_is_empty(_: object, queue: str) -> int:
    """In place of declaring the queue, as when it is deleted right afterwards."""
    return 0


def test_what_a_wiped_broker_lost_is_published_again(
    line: Line, rabbit: Rabbit, queue: str, by_hand: ByHand
) -> None:
    line.start_relay(queue, patience=timedelta(seconds=0.2))
    job = by_hand.submit(queue)
    wait_for("its publication", lambda: by_hand.event(job) is None)
    rabbit.delete(queue)
    rabbit.declare(queue)
    wait_for("its message", lambda: rabbit.depth(queue) == 1)
    assert [UUID(messages.decode(body, queue).job_id) for body in rabbit.take(queue)] == [job]


def submit_late(by_hand: ByHand, queue: str) -> None:
    """A job whose transaction began before those of others, and commits after them."""
    late = by_hand.submit(queue)
    by_hand.take(HAS_WAITED, id=late)


def test_what_commits_late_behind_others_is_found_by_the_next_poll(
    rabbit: Rabbit, queue: str, by_hand: ByHand, database_url: str, amqp_url: str
) -> None:
    rabbit.declare(queue)
    by_hand.submit(queue)

    async def poll() -> None:
        async with looking(database_url, amqp_url, queue) as relay:
            assert await relay.look() == 1
            submit_late(by_hand, queue)
            assert await relay.look() == 1

    asyncio.run(poll())


def test_a_queue_that_was_full_is_gone_on_with_where_the_relay_was(
    rabbit: Rabbit, queue: str, by_hand: ByHand, database_url: str, amqp_url: str
) -> None:
    """What commits late behind it waits for the poll after that."""
    rabbit.declare(queue)
    by_hand.submit(queue)

    async def poll() -> None:
        async with looking(database_url, amqp_url, queue) as relay:
            assert await relay.look() == 1
            submit_late(by_hand, queue)
            relay.fill(queue)
            assert await relay.look() == 0
            relay.fill()
            assert await relay.look() == 0
            assert await relay.look() == 1

    asyncio.run(poll())


def test_a_sweep_finds_the_events_of_a_queue_that_is_not_known(
    by_hand: ByHand, new_queue: Callable[[], str], database_url: str, amqp_url: str
) -> None:
    known, unknown = new_queue(), new_queue()

    async def poll() -> list[int]:
        async with looking(database_url, amqp_url, known) as relay:
            for queue in (known, unknown):
                by_hand.submit(queue)
            taken = [await relay.look()]
            relay.make_sweep_due()
            return [*taken, await relay.look()]

    assert asyncio.run(poll()) == [1, 1]


@pytest.fixture
def left_to_nudges(
    rabbit: Rabbit,
    queue: str,
    by_hand: ByHand,
    database_url: str,
    amqp_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Relay]:
    """A relay of the queue that has looked once, and does not look again by itself."""
    rabbit.declare(queue)
    monkeypatch.setattr(poll_policy, "IDLE_POLL_SECONDS", 3600)
    idle = Relay(database_url, amqp_url, [queue], window=10, patience=timedelta(seconds=30))
    stop = run_aside(idle.run, lambda: listen(database_url, idle.wake_up))
    try:
        wait_for("a relay that listens", lambda: by_hand.take(LISTENERS))
        wait_for("a relay that has looked", lambda: idle._policy._next_sweep > 0)
        yield idle
    finally:
        stop()


def submit_and_wake_up(by_hand: ByHand, rabbit: Rabbit, queue: str, submitted: int = 1) -> None:
    """One more job, until the queue has a message of each of so many."""
    by_hand.submit(queue)
    by_hand.take(NOTIFY)
    wait_for("its message", lambda: rabbit.depth(queue) == submitted)


@pytest.mark.usefixtures("left_to_nudges")
@pytest.mark.parametrize("found_before", [0, 1])
def test_what_is_committed_soon_after_a_nudge_needs_none_of_its_own(
    rabbit: Rabbit,
    queue: str,
    by_hand: ByHand,
    monkeypatch: pytest.MonkeyPatch,
    found_before: int,
) -> None:
    lock = pipeline.lock
    late: list[object] = []

    async def submit_another(*given: Any) -> list[Event]:
        events = await lock(*given)
        if not late:
            late.append(by_hand.submit(queue))
        return events

    for _ in range(found_before):
        by_hand.submit(queue)
    monkeypatch.setattr(pipeline, "lock", submit_another)
    monkeypatch.setattr(poll_policy, "WAKE_UP_LASTS_SECONDS", 1)
    by_hand.take(NOTIFY)
    wait_for("its message", lambda: rabbit.depth(queue) == found_before + 1)


@pytest.mark.usefixtures("left_to_nudges")
def test_nothing_stays_locked_while_the_relay_is_idle(
    rabbit: Rabbit, queue: str, by_hand: ByHand
) -> None:
    submit_and_wake_up(by_hand, rabbit, queue)
    wait_for("its end", lambda: not by_hand.take(LEFT))


def test_nothing_stays_locked_while_no_queue_takes_any_more(
    rabbit: Rabbit, queue: str, by_hand: ByHand, database_url: str, amqp_url: str
) -> None:
    rabbit.declare(queue)
    by_hand.submit(queue)

    async def fill() -> None:
        async with looking(database_url, amqp_url, queue, window=1) as relay:
            assert await relay.look() == 1
            assert relay.is_idle

    asyncio.run(fill())
    assert by_hand.take(LEFT) == []


@pytest.mark.parametrize("why", ["a sweep", "a full queue"])
def test_what_is_in_flight_is_settled_before_the_queues_are_measured(
    why: str,
    rabbit: Rabbit,
    new_queue: Callable[[], str],
    by_hand: ByHand,
    database_url: str,
    amqp_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or it would be neither queued nor in flight, and REDISPATCH_LOST would wait for its lock."""
    queue, other = new_queue(), new_queue()
    rabbit.declare(queue)
    by_hand.submit(queue)
    measure = Relay._measure
    left: list[int] = []

    async def counted(self: Relay, *given: Any) -> None:
        left.append(len(by_hand.take(LEFT)))
        await measure(self, *given)

    async def poll() -> None:
        async with looking(database_url, amqp_url, queue, other) as relay:
            assert await relay.look() == 1
            assert len(by_hand.take(LEFT)) == 1
            if why == "a sweep":
                relay.make_sweep_due()
            else:
                relay.fill(other)
                relay.make_measurement_due()
            await relay.look()

    monkeypatch.setattr(Relay, "_measure", counted)
    asyncio.run(poll())
    assert left == [0]


def test_a_lost_link_is_noticed_before_the_relay_is_idle(
    rabbit: Rabbit, queue: str, by_hand: ByHand, proxy: Proxy, amqp_url: str, database_url: str
) -> None:
    rabbit.declare(queue)

    async def lose_the_link() -> None:
        async with looking(database_url, proxy.url(amqp_url), queue) as relay:
            by_hand.submit(queue)
            assert await relay.look() == 1  # which opens the channel
            assert await relay.look() == 0
            by_hand.submit(queue)
            proxy.swallow()
            assert await relay.look() == 1
            proxy.cut_swallowed()
            with pytest.raises(BrokerGone):
                await relay.look()

    asyncio.run(lose_the_link())
    assert len(by_hand.take(LEFT)) == 1


def test_what_is_on_its_way_is_settled_when_the_relay_is_stopped(
    left_to_nudges: Relay,
    rabbit: Rabbit,
    queue: str,
    by_hand: ByHand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poll_policy, "WAKE_UP_LASTS_SECONDS", 3600)
    submit_and_wake_up(by_hand, rabbit, queue)
    assert len(by_hand.take(LEFT)) == 1
    left_to_nudges._stopping = True
    by_hand.take(NOTIFY)
    wait_for("its end", lambda: not by_hand.take(LEFT))


def test_a_job_does_not_wait_for_the_confirm_of_the_one_before(
    left_to_nudges: Relay,
    rabbit: Rabbit,
    queue: str,
    by_hand: ByHand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    confirms = threading.Event()
    outcome = Publisher.outcome

    async def unconfirmed(
        self: Publisher[Dispatch], sending: Sending[Dispatch]
    ) -> Outcome[Dispatch]:
        await asyncio.to_thread(confirms.wait, 10)
        return await outcome(self, sending)

    monkeypatch.setattr(Publisher, "outcome", unconfirmed)
    monkeypatch.setattr(poll_policy, "WAKE_UP_LASTS_SECONDS", 3600)
    left_to_nudges._policy._next_sweep = inf
    for submitted in (1, 2):
        submit_and_wake_up(by_hand, rabbit, queue, submitted)
    assert len(by_hand.take(LEFT)) == 2
    confirms.set()


@pytest.mark.usefixtures("left_to_nudges")
def test_a_job_that_comes_alone_does_not_wait_until_others_have_gathered(
    rabbit: Rabbit, queue: str, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll_policy, "LINGER_SECONDS", 3600)
    for submitted in (1, 2, 3):
        submit_and_wake_up(by_hand, rabbit, queue, submitted)
