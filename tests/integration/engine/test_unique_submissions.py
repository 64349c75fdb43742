"""Jobs of unique kinds as sessions submit them: what the caller is told, and what is written."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from outbox import SubmittedJob, Unique, batch, flush_jobs, job_sessions, submit, submit_all
from outbox.events import Submitted
from outbox.postgres.address import sqlalchemy_url
from outbox.store import transitions
from outbox.submission.pending import WAKE_UP
from outbox.submission.wake_up import NOTIFY
from tests.support.engine.line import note_kind

PLAIN = note_kind("q")
NOTE = note_kind("q", name="test.unique", unique=Unique("text"))
LAST = note_kind(
    "q",
    name="test.debounced",
    unique=Unique("text", debounce=timedelta(minutes=1), cap=timedelta(hours=1)),
)
ASYNCPG: dict[str, Any] = {"drivername": "postgresql+asyncpg", "query": {}}
SESSIONS: dict[str, Any] = {
    "session": (AsyncSession, {}),
    "session on asyncpg": (AsyncSession, ASYNCPG),
    "job session": (lambda engine: job_sessions(engine)(), {}),
    "job session on asyncpg": (lambda engine: job_sessions(engine)(), ASYNCPG),
}
Told = tuple[SubmittedJob, ...]


def stored(sql_now: psycopg.Connection) -> list[tuple[Any, ...]]:
    """The jobs that have been committed."""
    query = "SELECT kind, payload->>'text', payload->>'secret', id FROM duly.jobs ORDER BY id"
    return sql_now.execute(query).fetchall()


def submit_some(session: Session | AsyncSession) -> Told:
    """Two of one key, one of another, one of no key and two that are debounced."""
    a = submit(session, NOTE(text="a", secret="1"))
    plain = submit(session, PLAIN(text="a"))
    b, again = submit_all(session, [NOTE(text="b"), NOTE(text="a", secret="2")])
    early, late = submit_all(session, [LAST(text="a", secret="1"), LAST(text="a", secret="2")])
    return a, plain, b, again, early, late


def check(first: Told, second: Told, rows: list[tuple[Any, ...]]) -> None:
    """What each of two transactions has to be told."""
    a, plain, b, again, early, late = first
    assert [each.is_duplicate for each in first] == [False, False, False, True, False, True]
    assert (again.id, late.id) == (a.id, early.id)
    assert [each.is_duplicate for each in second] == [True, False, True, True, True, True]
    assert [each.id for each in second] == [a.id, second[1].id, b.id, a.id, early.id, early.id]
    assert sorted(rows) == sorted([
        (NOTE.name, "a", "1", a.id),
        (NOTE.name, "b", "", b.id),
        (PLAIN.name, "a", "", plain.id),
        (PLAIN.name, "a", "", second[1].id),
        (LAST.name, "a", "2", early.id),
    ])  # fmt: skip


@pytest.mark.parametrize("how", SESSIONS)
def test_async_sessions_tell_after_the_commit(
    database_url: str, sql_now: psycopg.Connection, how: str
) -> None:
    async def use() -> list[Told]:
        make, driver = SESSIONS[how]
        engine = create_async_engine(sqlalchemy_url(database_url).set(**driver))
        told = []
        for _ in range(2):  # psycopg has prepared the statements the second time
            async with make(engine) as session:
                told.append(submit_some(session))
                await session.commit()
        await engine.dispose()
        return told

    first, second = asyncio.run(use())
    check(first, second, stored(sql_now))


def test_sync_sessions_tell_after_the_commit(engine: Engine, sql_now: psycopg.Connection) -> None:
    told = []
    for _ in range(2):
        with Session(engine) as session, session.begin():
            told.append(submit_some(session))
    check(told[0], told[1], stored(sql_now))


@pytest.mark.parametrize("how", SESSIONS)
def test_who_flushes_is_told_before_the_commit(
    database_url: str, sql_now: psycopg.Connection, how: str
) -> None:
    async def use() -> None:
        make, driver = SESSIONS[how]
        engine = create_async_engine(sqlalchemy_url(database_url).set(**driver))
        async with make(engine) as session:
            first, second = submit_all(session, [NOTE(text="a"), NOTE(text="a")])
            assert (first.is_duplicate, second.is_duplicate) == (False, False)
            await session.run_sync(flush_jobs)
            assert (second.is_duplicate, second.id) == (True, first.id)
            third = submit(session, NOTE(text="a"))
            await session.run_sync(flush_jobs)
            await session.run_sync(flush_jobs)
            assert (third.is_duplicate, third.id) == (True, first.id)
            assert stored(sql_now) == []
            await session.commit()
        assert [row[3] for row in stored(sql_now)] == [first.id]
        await engine.dispose()

    asyncio.run(use())


def test_what_was_flushed_in_a_savepoint_is_gone_with_it(
    session: Session, sql_now: psycopg.Connection
) -> None:
    outer = submit(session, NOTE(text="a"))
    savepoint = session.begin_nested()
    inner = submit(session, NOTE(text="a", secret="inner"))
    flush_jobs(session)
    assert not inner.is_duplicate
    savepoint.rollback()
    session.commit()
    assert not outer.is_duplicate
    assert stored(sql_now) == [(NOTE.name, "a", "", outer.id)]


def test_a_savepoint_that_is_released_keeps_the_key(
    session: Session, sql_now: psycopg.Connection
) -> None:
    outer = submit(session, NOTE(text="a"))
    with session.begin_nested():
        inner = submit(session, NOTE(text="a", secret="inner"))
        flush_jobs(session)
    session.commit()
    assert (inner.is_duplicate, outer.is_duplicate, outer.id) == (False, True, inner.id)
    assert [row[2:] for row in stored(sql_now)] == [("inner", inner.id)]


def test_a_flush_that_fails_leaves_nothing(session: Session, sql_now: psycopg.Connection) -> None:
    session.execute(text("SET LOCAL statement_timeout = '50ms'"))
    with sql_now.transaction():
        sql_now.execute("LOCK TABLE duly.unique_keys")
        submit(session, NOTE(text="a"))
        with pytest.raises(DBAPIError):
            flush_jobs(session)
    session.rollback()
    again = submit(session, NOTE(text="a"))
    session.commit()
    assert [row[3] for row in stored(sql_now)] == [again.id]


def test_a_flush_wakes_the_relays_up_once_it_is_committed(
    engine: Engine, sql_now: psycopg.Connection
) -> None:
    wakes: list[str] = []
    with Session(engine, info={WAKE_UP: wakes.append}) as session:
        flush_jobs(session)
        submit(session, NOTE())
        flush_jobs(session)
        assert wakes == []
        session.commit()
        assert wakes == [NOTIFY]


def test_a_batch_takes_no_job_of_a_unique_kind_but_its_callbacks_may_be_one(
    session: Session, sql_now: psycopg.Connection
) -> None:
    with batch(session, on_success=NOTE(text="a")):
        submit(session, PLAIN())
        with pytest.raises(ValueError, match=r"test\.unique: jobs of a unique kind"):
            submit(session, NOTE(text="a"))
    outside = submit(session, NOTE(text="b"))
    flush_jobs(session)
    session.commit()
    assert sorted(row[0] for row in stored(sql_now)) == [PLAIN.name, NOTE.name]
    assert not outside.is_duplicate


def test_the_event_submitted_is_told_of_new_jobs_only(session: Session, heard: list[Any]) -> None:
    first, again = submit_all(session, [NOTE(text="a"), NOTE(text="a")])
    session.commit()
    told = [each.job_id for each in heard if isinstance(each, Submitted)]
    assert told == [first.id] == [again.id]


def test_kinds_without_a_key_send_the_statements_that_they_sent(
    engine: Engine, sql_now: psycopg.Connection
) -> None:
    sent: list[str] = []

    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    for works in ([PLAIN()], [PLAIN()] * 3, [NOTE(text="a")], [NOTE(text="b"), PLAIN()]):
        with Session(engine) as session, session.begin():
            submit_all(session, works)
    assert sent == [
        transitions.SUBMIT,
        transitions.SUBMIT_ALL,
        transitions.SUBMIT_UNIQUE,
        transitions.SUBMIT,
        transitions.SUBMIT_UNIQUE,
    ]
