"""How often the engine asks Postgres for one job: what a job costs on any machine."""

import asyncio
import math
from collections.abc import Iterator
from datetime import timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from psycopg.rows import namedtuple_row
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from outbox import submit
from outbox.maintenance.scheduler import LONGEST_SLEEP_SECONDS, Scheduler
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.session_settings import connect_async
from outbox.relay import poll_policy
from outbox.relay.loop import Relay
from outbox.store import transitions
from outbox.submission.pending import WAKE_UP
from outbox.tracing.otel.spans import Tracer
from outbox.tracing.tracer import install
from outbox.worker.records.group_commit import GroupCommit
from tests.integration.engine.looking import looking
from tests.support.engine.by_hand import KIND, ByHand
from tests.support.engine.line import note_kind, run_aside
from tests.support.engine.rabbit import Rabbit
from tests.support.network import proxy
from tests.support.network.proxy import Proxy
from tests.support.wait import wait_for

NOTE = note_kind("q")
LEFT = "SELECT FROM duly.outbox_events"


@pytest.fixture
def postgres(database_url: str) -> Iterator[Proxy]:
    """The way to Postgres, which counts."""
    with proxy.before(database_url) as counting:
        yield counting


@pytest.fixture(params=[False, True], ids=["untraced", "traced"])
def traced(request: pytest.FixtureRequest) -> Iterator[None]:
    """Without traces, and with all of them sampled."""
    if request.param:
        install(Tracer(TracerProvider(shutdown_on_exit=False).get_tracer("test")))
    yield
    install(None)


@pytest.mark.usefixtures("traced")
def test_one_job_or_a_hundred_are_one_round_trip_of_the_callers_transaction(
    postgres: Proxy, database_url: str
) -> None:
    engine = create_engine(sqlalchemy_url(postgres.url(database_url)))
    with Session(engine, info={WAKE_UP: lambda _: None}) as session:
        for jobs in (0, 1, 100):
            session.execute(text("SELECT"))
            before = postgres.round_trips
            for _ in range(jobs):
                submit(session, NOTE())
            assert postgres.round_trips == before
            session.commit()
            assert postgres.round_trips == before + (2 if jobs else 1)
    engine.dispose()


def test_where_each_statement_commits_a_job_is_one_round_trip(
    postgres: Proxy, database_url: str
) -> None:
    engine = create_engine(sqlalchemy_url(postgres.url(database_url)), isolation_level="AUTOCOMMIT")
    for _ in range(2):  # the first one connects
        before = postgres.round_trips
        with Session(engine, info={WAKE_UP: lambda _: None}) as session:
            submit(session, NOTE())
            session.commit()
    assert postgres.round_trips == before + 1
    engine.dispose()


def test_a_step_is_one_round_trip_of_the_ledger(
    postgres: Proxy, database_url: str, by_hand: ByHand
) -> None:
    group_commit = GroupCommit(postgres.url(database_url), "w1")
    group_commit.start()
    for _ in range(2):  # the first one connects
        before = postgres.round_trips
        job = {"id": by_hand.submit(), "dispatch": 1}
        assert group_commit.write(transitions.CLAIM, job | {"kind": KIND})
        assert group_commit.write(transitions.SUCCEED, job | {"attempt": 1, "result": "null"})
    group_commit.close()
    assert postgres.round_trips == before + 2


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("events", [1, 100])
def test_a_batch_of_the_relay_is_two_round_trips_and_the_look_after_it_is_two(
    postgres: Proxy,
    database_url: str,
    amqp_url: str,
    by_hand: ByHand,
    rabbit: Rabbit,
    queue: str,
    events: int,
) -> None:
    rabbit.declare(queue)
    for _ in range(events):
        by_hand.submit(queue)

    async def look() -> None:
        async with looking(postgres.url(database_url), amqp_url, queue) as relay:
            before = postgres.round_trips
            assert await relay.look() == events
            assert postgres.round_trips == before + 1
            assert await relay.look() == 0
            assert postgres.round_trips == before + 4
            assert relay.is_idle

    asyncio.run(look())
    assert by_hand.take(LEFT) == []


def test_while_no_queue_takes_any_more_the_relay_asks_for_no_events(
    postgres: Proxy,
    database_url: str,
    amqp_url: str,
    by_hand: ByHand,
    queue: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def still_full(*_: object, **__: object) -> None:
        """In place of measuring, which would find that it is not."""

    async def look() -> None:
        async with looking(postgres.url(database_url), amqp_url, queue) as relay:
            relay.fill(queue)
            before = postgres.round_trips
            for _ in range(2):
                assert await relay.look() == 0
            assert postgres.round_trips == before

    by_hand.submit(queue)
    monkeypatch.setattr(Relay, "_measure", still_full)
    asyncio.run(look())


def test_a_queue_that_was_full_is_filled_again_in_two_round_trips(
    postgres: Proxy,
    database_url: str,
    amqp_url: str,
    by_hand: ByHand,
    rabbit: Rabbit,
    queue: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poll_policy, "SWEEP_SECONDS", 3600)
    monkeypatch.setattr(poll_policy, "LONGEST_INTERVAL_SECONDS", 3600)
    own = Relay(
        *(postgres.url(database_url), amqp_url, [queue]), window=1, patience=timedelta(hours=1)
    )
    own._policy._next_search = math.inf
    for _ in range(2):
        by_hand.submit(queue)
    stop = run_aside(own.run)
    try:
        wait_for("a full queue", lambda: len(by_hand.take(LEFT)) == 1)
        before = postgres.round_trips
        rabbit.take(queue)
        wait_for("the other one's message", lambda: not by_hand.take(LEFT))
        assert postgres.round_trips == before + 2
    finally:
        stop()


def test_an_idle_look_of_the_relay_is_two_round_trips(
    postgres: Proxy, database_url: str, amqp_url: str, queue: str
) -> None:
    async def look() -> None:
        async with looking(postgres.url(database_url), amqp_url, queue) as relay:
            before = postgres.round_trips
            assert await relay.look() == 0
            assert postgres.round_trips == before + 2
            assert relay.is_idle

    asyncio.run(look())


def test_without_schedules_a_look_of_the_scheduler_is_two_round_trips(
    postgres: Proxy, database_url: str
) -> None:
    async def look() -> None:
        async with await connect_async(postgres.url(database_url)) as database:
            database.row_factory = namedtuple_row
            scheduler = Scheduler(database_url, [], lambda: None)
            before = postgres.round_trips
            assert await scheduler.poll(database) == LONGEST_SLEEP_SECONDS
            assert postgres.round_trips == before + 2

    asyncio.run(look())
