"""Batches on the whole line, and in every kind of session."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from outbox import Actor, Job, add_to_batch, batch, job_sessions, submit
from outbox.events import BatchSettled, on
from outbox.maintenance import batch_folder
from outbox.maintenance.batch_folder import BatchFolder
from outbox.operations import batches as operations
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.session_settings import connect_async
from outbox.store import transitions
from outbox.submission.pending import WAKE_UP
from tests.integration.engine.refusing import Refusing
from tests.support.engine.batches import CALLBACKS, WORK, Batches
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, Note, do_nothing, note_kind
from tests.support.network import proxy
from tests.support.network.proxy import Proxy
from tests.support.wait import wait_for

DONE = """
SELECT payload->>'text' AS text FROM duly.jobs
WHERE kind = 'test.then' AND state = 'succeeded' ORDER BY 1
"""
MEMBERS = "SELECT count(*) FROM duly.jobs JOIN duly.batches ON batches.id = batch_id"
TOUCHED = """
SELECT coalesce(sum(seq_scan + coalesce(idx_scan, 0) + n_tup_ins), 0) AS n
FROM pg_stat_xact_user_tables WHERE relname LIKE 'batch%%'
"""
NO_WAKE_UP = {WAKE_UP: lambda _: None}
DRIVERS: dict[str, dict[str, Any]] = {
    "psycopg": {},
    "asyncpg": {"drivername": "postgresql+asyncpg", "query": {}},
}


@pytest.fixture
def batches(engine: Engine, by_hand: ByHand) -> Batches:
    """Batches by hand."""
    return Batches(engine, by_hand)


@pytest.fixture
def postgres(database_url: str) -> Iterator[Proxy]:
    """The way to Postgres, which counts."""
    with proxy.before(database_url) as counting:
        yield counting


def fold_all(database_url: str) -> None:
    """Count as one relay does, once."""

    async def fold() -> None:
        async with await connect_async(database_url) as database, asyncio.timeout(10):
            await BatchFolder(database_url, lambda: None).fold_all(database)

    asyncio.run(fold())


def test_callbacks_run_once_and_without_a_poll_when_all_members_have_succeeded(
    line: Line, engine: Engine, by_hand: ByHand, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, then = note_kind(queue), note_kind(queue, "test.then")
    also = note_kind(queue, "test.async")

    def do(note: Note, job: Job) -> None:
        if note.text == "more":
            with job.transaction() as tx, add_to_batch(tx, job.batch_id or job.id):
                submit(tx, also(text="added"))

    async def do_async(note: Note, job: Job) -> None:
        async with job.transaction():
            """Only the completion."""

    monkeypatch.setattr(batch_folder, "POLL_SECONDS", 3600)
    for _ in range(2):
        line.start_relay(queue)
    line.start_worker(Actor(kind, do), Actor(also, do_async), Actor(then, do_nothing))
    with (
        Session(engine) as session,
        session.begin(),
        batch(session, on_success=then(text="won"), on_settled=then(text="over")),
    ):
        for each in ("more", *[""] * 100):
            submit(session, kind(text=each))
    wait_for("both callbacks", lambda: len(by_hand.take(DONE)) == 2)
    assert [row["text"] for row in by_hand.take(DONE)] == ["over", "won"]
    (counted,) = by_hand.take("SELECT members, succeeded FROM duly.batches")
    assert counted == {"members": 102, "succeeded": 102}


def test_a_death_is_told_without_a_poll_and_success_comes_after_the_replay(
    line: Line, engine: Engine, by_hand: ByHand, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, then = note_kind(queue), note_kind(queue, "test.then")

    def do(_: Note, job: Job) -> None:
        if job.attempt <= 3:
            raise ValueError("not yet")

    monkeypatch.setattr(batch_folder, "POLL_SECONDS", 3600)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do), Actor(then, do_nothing))
    with (
        Session(engine) as session,
        session.begin(),
        batch(session, on_success=then(text="won"), on_first_death=then(text="lost")),
    ):
        submit(session, kind())
    wait_for("the death", lambda: by_hand.take(DONE) == [{"text": "lost"}])
    line.replay(line.letters()[0].id)
    wait_for("success", lambda: by_hand.take(DONE) == [{"text": "lost"}, {"text": "won"}])


@pytest.mark.parametrize("sessions", [async_sessionmaker, job_sessions])
@pytest.mark.parametrize("driver", DRIVERS)
def test_async_sessions_write_batches_and_say_what_is_refused(
    database_url: str, by_hand: ByHand, sessions: Any, driver: str
) -> None:
    address = make_url(sqlalchemy_url(database_url)).set(**DRIVERS[driver])

    async def use() -> None:
        engine = create_async_engine(address)
        async with sessions(engine)() as session:
            with batch(session, **CALLBACKS) as group:
                submit(session, WORK)
                submit(session, WORK)
            await session.commit()
            with add_to_batch(session, group.id):
                submit(session, WORK)
            with pytest.raises(IntegrityError, match="is sealed"):
                await session.commit()
        await engine.dispose()

    asyncio.run(use())
    assert by_hand.take(MEMBERS) == [{"count": 2}]
    assert by_hand.take("SELECT added FROM duly.batch_changes") == [{"added": 2}]


def test_a_batch_and_its_members_are_one_round_trip(postgres: Proxy, database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(postgres.url(database_url)))
    with Session(engine, info=NO_WAKE_UP) as session:
        session.execute(text("SELECT"))
        before = postgres.round_trips
        with batch(session, **CALLBACKS):
            for _ in range(100):
                submit(session, WORK)
        session.commit()
        assert postgres.round_trips == before + 2
    engine.dispose()


def test_a_batch_travels_with_the_commit(postgres: Proxy, database_url: str) -> None:
    async def use() -> None:
        engine = create_async_engine(
            sqlalchemy_url(postgres.url(database_url)), connect_args={"prepare_threshold": 0}
        )
        sessions = job_sessions(engine, info=NO_WAKE_UP)
        for _ in range(2):  # the first one prepares
            async with sessions() as session:
                await session.execute(text("SELECT"))
                before = postgres.round_trips
                with batch(session, **CALLBACKS):
                    submit(session, WORK)
                await session.commit()
        assert postgres.round_trips == before + 1
        await engine.dispose()

    asyncio.run(use())


def test_jobs_in_no_batch_touch_no_table_of_batches(by_hand: ByHand, batches: Batches) -> None:
    with by_hand.connection.transaction():
        succeeded, failed, dead, queued = (by_hand.submit() for _ in range(4))
        for job in (succeeded, failed, dead):
            by_hand.publish(job)
            assert by_hand.claim(job)
        assert by_hand.succeed(succeeded)
        assert by_hand.retry(failed)
        assert by_hand.die(dead)
        assert by_hand.cancel(queued)
        assert by_hand.bury(failed, dispatch=2)
        assert by_hand.rescue() == []
        letters = [by_hand.letters(job)[0]["id"] for job in (dead, failed)]
        assert by_hand.close(transitions.REPLAY, letters[0])
        assert by_hand.close(transitions.DISCARD, letters[1])
        assert by_hand.take(TOUCHED) == [{"n": 0}]
    _, (member,) = batches.make(1)
    with by_hand.connection.transaction():
        by_hand.cancel(member)
        assert by_hand.take(TOUCHED) == [{"n": 1}]


def test_a_batch_that_the_tables_refuse_keeps_no_other_from_being_counted(
    batches: Batches, database_url: str, refusing: Refusing
) -> None:
    bad, good = batches.make(), batches.make()
    refusing.refuse("batches", f"new.id = '{bad[0]}'")
    told: list[BatchSettled] = []
    end = on(BatchSettled, told.append)
    try:
        fold_all(database_url)
        assert [event.batch_id for event in told] == [good[0]]
        refusing.take()
        fold_all(database_url)
    finally:
        end()
    assert told[1] == BatchSettled(batch_id=bad[0], generation=1, succeeded=0, dead=0, cancelled=0)
    assert len(batches.callbacks(bad[0])) == len(batches.callbacks(good[0])) == 2


def test_a_batch_that_another_has_locked_is_passed_over(
    batches: Batches, database_url: str, by_hand: ByHand
) -> None:
    (locked, _), (free, _) = batches.make(), batches.make()
    with by_hand.connection.transaction():
        assert by_hand.take(transitions.LOCK_BATCHES, ids=[locked])
        fold_all(database_url)
        assert batches.row(free)["outcome"] == "succeeded"
    assert batches.row(locked)["outcome"] is None
    fold_all(database_url)
    assert batches.row(locked)["outcome"] == "succeeded"


def test_a_relay_cancels_what_a_person_has_cancelled(
    line: Line, batches: Batches, engine: Engine, by_hand: ByHand
) -> None:
    group, jobs = batches.make(3)
    with Session(engine) as session, session.begin():
        operations.cancel(session, group, by="ann")
    line.start_relay("nobody")
    wait_for("the end", lambda: batches.row(group)["outcome"] == "cancelled")
    assert {by_hand.job(job)["state"] for job in jobs} == {"cancelled"}
