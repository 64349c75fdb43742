"""A session that is closed without a commit, in a transaction that goes on without it."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from outbox import job_sessions, submit
from outbox.postgres.address import sqlalchemy_url
from tests.support.engine.effects import Effects
from tests.support.engine.line import note_kind

NOTE = note_kind("q")
ROW = UUID(int=1)
REFUSED = r"call session.commit\(\)"


@pytest.fixture(autouse=True)
def table(effects: Effects) -> Effects:
    """A table of the business."""
    return effects


def write(session: Session, what: str = "row") -> None:
    """Write a row, and have a job wait."""
    Effects.add(session, ROW, what)
    submit(session, NOTE(text=what))


def committed(sql_now: psycopg.Connection) -> tuple[list[str], list[str]]:
    """The rows and the jobs that have been committed."""
    rows = sql_now.execute("SELECT what FROM effects ORDER BY what")
    jobs = sql_now.execute("SELECT payload->>'text' FROM duly.jobs ORDER BY id")
    return [row for (row,) in rows], [job for (job,) in jobs]


def test_its_rows_are_not_committed_without_its_jobs(
    database_url: str, sql_now: psycopg.Connection
) -> None:
    engine = create_engine(sqlalchemy_url(database_url), pool_size=1)
    connection = engine.connect()
    connection.begin()
    for ends in (Session.close, Session.commit):  # the second one hides nothing
        with Session(connection) as session:
            write(session)
            ends(session)
    with pytest.raises(RuntimeError, match=REFUSED):
        connection.commit()
    connection.close()
    assert committed(sql_now) == ([], [])
    with engine.begin() as connection:  # the same one
        Effects.add(Session(connection), ROW, "later")
    engine.dispose()
    assert committed(sql_now) == (["later"], [])


@pytest.mark.parametrize(
    ("driver", "sessions_of"),
    [
        ({}, lambda _: AsyncSession),
        ({"drivername": "postgresql+asyncpg", "query": {}}, lambda _: AsyncSession),
        ({}, job_sessions),
    ],
    ids=["psycopg", "asyncpg", "job_sessions"],
)
def test_so_it_is_for_async_sessions(
    database_url: str, sql_now: psycopg.Connection, driver: Any, sessions_of: Callable[..., Any]
) -> None:
    async def use() -> None:
        engine = create_async_engine(sqlalchemy_url(database_url).set(**driver), pool_size=1)
        sessions = sessions_of(engine)
        with pytest.raises(RuntimeError, match=REFUSED):
            async with engine.begin() as connection, sessions(bind=connection) as session:
                await session.run_sync(write)
        async with engine.connect() as connection:
            async with sessions(bind=connection) as session:
                await session.run_sync(write)
            await connection.rollback()
            await connection.execute(text("INSERT INTO effects (what) VALUES ('later')"))
            await connection.commit()
        await engine.dispose()

    asyncio.run(use())
    assert committed(sql_now) == (["later"], [])


def test_an_error_in_the_block_is_the_one_that_is_raised(
    engine: Engine, sql_now: psycopg.Connection
) -> None:
    def fail() -> None:
        with engine.begin() as connection, Session(connection) as session:
            write(session)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert committed(sql_now) == ([], [])


@pytest.mark.parametrize("mode", ["rollback_only", "create_savepoint", "control_fully"])
def test_a_rollback_loses_nothing(
    engine: Engine, sql_now: psycopg.Connection, *, mode: Any
) -> None:
    with engine.connect() as connection:
        with Session(connection, join_transaction_mode=mode) as session:
            write(session, "rolled back")
            session.rollback()
        Effects.add(Session(connection), ROW, "kept")
        connection.commit()
    assert committed(sql_now) == (["kept"], [])


def test_closing_a_savepoint_drops_its_rows_and_jobs(
    engine: Engine, sql_now: psycopg.Connection
) -> None:
    with engine.begin() as connection:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            write(session, "dropped")
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            write(session, "kept")
            session.commit()
    assert committed(sql_now) == (["kept"], ["kept"])
