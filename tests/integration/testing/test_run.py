"""`run` and `submitted`, in an engine and in the usual fixture of a test: a session that leaves
nothing behind, since its connection's transaction is rolled back.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from outbox import Job, Priority, actor, submit
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter
from outbox.testing import run, submitted
from outbox.values.result import UnstorableResult
from tests.integration.testing.parts import (
    FOLLOW,
    KEEP,
    TABLE,
    Note,
    Refused,
    keep,
    keep_async,
)

DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
COUNT = text("SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM duly.jobs)")


@pytest.fixture(autouse=True)
def notes(sql_now: psycopg.Connection) -> None:
    sql_now.execute(TABLE)


@pytest.fixture
def rolled_back(engine: Engine) -> Iterator[Session]:
    """The usual session of a test."""
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        outer.rollback()


def test_an_actor_runs_in_a_session_and_nothing_is_committed(
    rolled_back: Session, sql_now: psycopg.Connection
) -> None:
    assert run(keep, Note(text="tea"), rolled_back) == {"kept": "tea"}
    assert rolled_back.scalars(text("SELECT text FROM notes")).all() == ["tea"]
    followed, kept = jobs.find(rolled_back, JobFilter())
    assert (kept.kind, kept.state, kept.result) == (KEEP.name, "succeeded", {"kept": "tea"})
    assert (followed.kind, followed.state, followed.parent_id) == (FOLLOW.name, "queued", kept.id)
    assert _counts(sql_now) == (0, 0)


def test_an_actor_runs_in_an_engine_and_commits(
    engine: Engine, sql_now: psycopg.Connection
) -> None:
    assert run(keep, Note(text="tea"), engine) == {"kept": "tea"}
    assert _counts(sql_now) == (1, 2)
    events = sql_now.execute("SELECT kind FROM duly.outbox_events").fetchall()
    assert events == [(FOLLOW.name,)]  # no relay gets the job that has run


def test_an_error_comes_out_as_it_is_and_leaves_no_job(
    engine: Engine, rolled_back: Session, sql_now: psycopg.Connection
) -> None:
    with pytest.raises(Refused, match="not this one"):
        run(keep, Note(text="tea", end="refused"), rolled_back)
    assert rolled_back.execute(COUNT).one() == (0, 0)
    with pytest.raises(Refused, match="not this one"):
        run(keep, Note(text="tea", end="refused"), engine)
    assert _counts(sql_now) == (0, 0)


def test_a_returned_result_is_recorded_unless_it_comes_late(rolled_back: Session) -> None:
    assert run(keep, Note(text="tea", end="returns"), rolled_back) == {"kept": False}
    [kept] = jobs.find(rolled_back, JobFilter())
    assert (kept.state, kept.result) == ("succeeded", {"kept": False})
    with pytest.raises(RuntimeError, match="after its transaction had completed the job"):
        run(keep, Note(text="tea", end="late"), rolled_back)


def test_a_wrong_result_or_commit_is_raised(rolled_back: Session) -> None:
    @actor(KEEP)
    def no_json(note: Note, job: Job) -> object:
        return object()

    @actor(KEEP)
    def commits(note: Note, job: Job) -> None:
        with job.transaction() as session:
            session.commit()

    with pytest.raises(UnstorableResult):
        run(no_json, Note(text="tea"), rolled_back)
    with pytest.raises(Exception, match="closed transaction"):
        run(commits, Note(text="tea"), rolled_back)
    assert rolled_back.execute(COUNT).one() == (0, 0)


def test_an_actor_and_where_it_runs_have_to_match(engine: Engine) -> None:
    with pytest.raises(TypeError, match="pass an AsyncEngine or AsyncSession, not Engine"):
        run(keep_async, Note(text="tea"), engine)  # type: ignore[call-overload, unused-ignore]


@DRIVERS
def test_an_async_actor_runs_in_a_session(
    database_url: str, sql_now: psycopg.Connection, driver: str
) -> None:
    async def test() -> None:
        async with _engine(database_url, driver) as engine, engine.connect() as connection:
            outer = await connection.begin()
            mode: Any = {"join_transaction_mode": "create_savepoint"}
            async with AsyncSession(connection, **mode) as session:
                assert await run(keep_async, Note(text="tea"), session) == {"kept": "tea"}
                with pytest.raises(Refused):
                    await run(keep_async, Note(text="tea", end="refused"), session)
                assert (await session.execute(COUNT)).one() == (1, 2)
            await outer.rollback()

    asyncio.run(test())
    assert _counts(sql_now) == (0, 0)


@DRIVERS
def test_an_async_actor_runs_in_an_engine(
    database_url: str, sql_now: psycopg.Connection, driver: str
) -> None:
    async def test() -> None:
        async with _engine(database_url, driver) as engine:
            assert await run(keep_async, Note(text="tea"), engine) == {"kept": "tea"}
            assert await run(keep_async, Note(text="x", end="returns"), engine) == {"kept": False}
            with pytest.raises(RuntimeError, match="after its transaction"):
                await run(keep_async, Note(text="tea", end="late"), engine)

    asyncio.run(test())
    assert _counts(sql_now) == (2, 5)


def test_what_waits_is_told_in_order_and_without_what_was_rolled_back(session: Session) -> None:
    assert submitted(session) == []
    tomorrow = datetime(2030, 1, 1, tzinfo=UTC)
    first = submit(session, KEEP(text="one"), by="ada", run_at=tomorrow, priority=Priority.LOW)
    with session.begin_nested() as savepoint:
        submit(session, KEEP(text="dropped"))
        savepoint.rollback()
    submit(session, FOLLOW(text="two"), subject="note:2")
    one, two = submitted(session)
    assert (one.id, one.kind, one.by) == (first.id, KEEP.name, "ada")
    assert (one.run_at, one.priority) == (tomorrow, Priority.LOW)
    assert one.payload == {"text": "one", "end": ""}
    assert (two.kind, two.payload["text"], two.subject) == (FOLLOW.name, "two", "note:2")
    assert (two.queue, two.priority, two.run_at) == ("default", Priority.NORMAL, None)
    session.commit()
    assert submitted(session) == []


def test_what_waits_in_an_async_session_is_told(database_url: str) -> None:
    async def test() -> None:
        async with _engine(database_url, "asyncpg") as engine, AsyncSession(engine) as session:
            submit(session, KEEP(text="one"))
            assert [job.kind for job in submitted(session)] == [KEEP.name]

    asyncio.run(test())


@asynccontextmanager
async def _engine(database_url: str, driver: str) -> AsyncIterator[AsyncEngine]:
    url = make_url(database_url).set(drivername=f"postgresql+{driver}", query={})
    engine = create_async_engine(url)
    yield engine
    await engine.dispose()


def _counts(sql_now: psycopg.Connection) -> tuple[Any, ...] | None:
    return sql_now.execute(str(COUNT)).fetchone()
