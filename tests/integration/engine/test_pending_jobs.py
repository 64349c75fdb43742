"""Jobs wait in their session, and are committed or dropped as the rows of its transaction are."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from outbox import job_sessions, submit, submit_all
from outbox.postgres.address import sqlalchemy_url
from outbox.submission.pending import PENDING, WAKE_UP
from outbox.submission.wake_up import CHANNEL, NOTIFY, NOTIFY_KEYS
from tests.support.engine.line import note_kind

NOTE = note_kind("q")
DRIVERS: dict[str, dict[str, Any]] = {
    "psycopg": {},
    "asyncpg": {"drivername": "postgresql+asyncpg", "query": {}},
}


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]


@pytest.fixture(autouse=True)
def orders(sql_now: psycopg.Connection) -> Iterator[None]:
    """A table of the business."""
    sql_now.execute("CREATE TABLE orders (id serial PRIMARY KEY, item text UNIQUE)")
    yield
    sql_now.execute("DROP TABLE orders")


@pytest.fixture
def wakes() -> list[str]:
    """The wake-ups of `session`."""
    return []


@pytest.fixture
def session(engine: Engine, wakes: list[str]) -> Iterator[Session]:
    """A session that notes its wake-ups."""
    with Session(engine, info={WAKE_UP: wakes.append}) as session:
        yield session


def note(session: Session | AsyncSession, *texts: str) -> None:
    """Submit a job for each text."""
    submit_all(session, [NOTE(text=each) for each in texts])


def jobs(sql_now: psycopg.Connection) -> list[str]:
    """The texts of the jobs that have been committed, in the order in which they were submitted."""
    return [row[0] for row in sql_now.execute("SELECT payload->>'text' FROM duly.jobs ORDER BY id")]


def items(sql_now: psycopg.Connection) -> list[str]:
    """The orders that have been committed."""
    return [row[0] for row in sql_now.execute("SELECT item FROM orders ORDER BY item")]


@contextmanager
def listening(target: Any, name: str, listener: Callable[..., None]) -> Iterator[None]:
    event.listen(target, name, listener)
    yield
    event.remove(target, name, listener)


def test_nothing_is_sent_before_the_commit(session: Session, sql_now: psycopg.Connection) -> None:
    note(session, "a")
    session.flush()
    assert session.scalar(text("SELECT count(*) FROM duly.jobs")) == 0
    session.commit()
    assert jobs(sql_now) == ["a"]
    assert PENDING not in session.info


@pytest.mark.parametrize("sessions", [AsyncSession, lambda engine: job_sessions(engine)()])
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_plain_call_is_all_that_an_async_session_needs(
    database_url: str, sql_now: psycopg.Connection, sessions: Any, driver: str
) -> None:
    async def use() -> None:
        engine = create_async_engine(sqlalchemy_url(database_url).set(**DRIVERS[driver]))
        async with sessions(engine) as session:
            note(session, "a")
            await session.rollback()  # which sends nothing, as nothing was sent
            note(session, "b")
            async with session.begin_nested() as savepoint:
                note(session, "c")
                await savepoint.rollback()
            async with session.begin_nested():
                note(session, "d")
            await session.commit()
        async with sessions(engine) as session, session.begin():
            note(session, "e")
        async with sessions(engine) as session:
            note(session, "f")
        await engine.dispose()

    asyncio.run(use())
    assert jobs(sql_now) == ["b", "d", "e"]


def test_a_rollback_and_a_close_without_any_statement_drop_the_jobs(
    session: Session, sql_now: psycopg.Connection
) -> None:
    note(session, "a")
    session.rollback()
    note(session, "b")
    session.close()
    session.commit()
    assert jobs(sql_now) == []


def test_an_error_in_a_block_drops_the_jobs(engine: Engine, sql_now: psycopg.Connection) -> None:
    def fail() -> None:
        with sessionmaker(engine).begin() as session:
            note(session, "a")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert jobs(sql_now) == []


def test_a_session_that_may_not_begin_by_itself_refuses_a_job_as_it_would_a_row(
    engine: Engine,
) -> None:
    with Session(engine, autobegin=False) as session:
        with pytest.raises(InvalidRequestError, match="Autobegin is disabled"):
            note(session, "a")
        with session.begin():
            note(session, "b")


def test_a_transaction_that_failed_refuses_a_job_as_it_would_a_statement(
    session: Session, sql_now: psycopg.Connection
) -> None:
    note(session, "a")
    session.add_all([Order(item="tea"), Order(item="tea")])
    with pytest.raises(DBAPIError):
        session.flush()
    with pytest.raises(PendingRollbackError):
        note(session, "b")
    session.rollback()
    note(session, "c")
    session.commit()
    assert jobs(sql_now) == ["c"]


def test_two_sessions_do_not_meet(engine: Engine, sql_now: psycopg.Connection) -> None:
    with Session(engine) as one, Session(engine) as other:
        note(one, "a")
        note(other, "b")
        one.rollback()
        other.commit()
    assert jobs(sql_now) == ["b"]


def test_savepoints_in_savepoints_take_their_jobs_along(
    session: Session, sql_now: psycopg.Connection
) -> None:
    with session.begin_nested():
        note(session, "a")
        outer = session.begin_nested()
        with session.begin_nested():
            note(session, "b")  # released, and then rolled back with the one around it
        outer.rollback()
        with session.begin_nested(), session.begin_nested():
            note(session, "c")
    session.commit()
    assert jobs(sql_now) == ["a", "c"]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_end_of_a_block_writes_the_jobs_of_savepoints_that_nobody_released(
    engine: Engine, sql_now: psycopg.Connection, depth: int
) -> None:
    with Session(engine) as session, session.begin():
        note(session, "root")
        for each in range(depth):
            session.begin_nested()
            note(session, str(each))
    assert jobs(sql_now) == ["root", "0", "1", "2"][: depth + 1]


def test_a_savepoint_whose_flush_fails_drops_its_jobs_and_no_others(
    session: Session, sql_now: psycopg.Connection
) -> None:
    note(session, "a")
    savepoint = session.begin_nested()
    note(session, "b")
    session.add_all([Order(item="tea"), Order(item="tea")])
    with pytest.raises(DBAPIError):
        savepoint.commit()
    savepoint.rollback()
    session.commit()
    assert (jobs(sql_now), items(sql_now)) == (["a"], [])


@pytest.mark.parametrize("name", ["before_commit", "before_flush", "after_flush"])
@pytest.mark.parametrize("is_nested", [False, True])
def test_what_a_listener_submits_in_the_midst_of_a_commit_is_of_it(
    session: Session, sql_now: psycopg.Connection, name: str, is_nested: bool
) -> None:
    def late(*_: object) -> None:
        note(session, "late")

    with listening(session, name, late):
        if is_nested:
            with session.begin_nested():
                session.add(Order(item="tea"))
        else:
            session.add(Order(item="tea"))
            session.commit()
    session.commit()
    assert jobs(sql_now) == ["late"]


def test_what_a_listener_submits_is_written_whoever_releases_the_savepoint(
    engine: Engine, sql_now: psycopg.Connection
) -> None:
    with (
        Session(engine) as session,
        listening(session, "after_flush", lambda *_: note(session, "late")),
        session.begin(),
    ):
        session.begin_nested()
        session.add(Order(item="tea"))
    assert jobs(sql_now) == ["late"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_commit_that_a_listener_refused_can_be_tried_again(
    database_url: str, sql_now: psycopg.Connection, driver: str
) -> None:
    def refuse(_: Session) -> None:
        raise LookupError

    async def use() -> None:
        engine = create_async_engine(sqlalchemy_url(database_url).set(**DRIVERS[driver]))
        async with AsyncSession(engine) as session:
            note(session, "a")
            event.listen(session.sync_session, "before_commit", refuse)
            with pytest.raises(LookupError):
                await session.commit()
            event.remove(session.sync_session, "before_commit", refuse)
            async with session.begin_nested():
                note(session, "b")
            note(session, "c")
            await session.commit()
        await engine.dispose()

    asyncio.run(use())
    assert jobs(sql_now) == ["a", "b", "c"]


def test_jobs_that_cannot_be_written_fail_each_commit_until_a_rollback(
    session: Session, sql_now: psycopg.Connection
) -> None:
    note(session, "a")
    with pytest.raises(DBAPIError):
        session.execute(text("SELECT 1 / 0"))
    for _ in range(2):  # Postgres would answer a COMMIT, and roll back
        with pytest.raises(DBAPIError):
            session.commit()
    session.rollback()
    note(session, "b")
    session.commit()
    assert jobs(sql_now) == ["b"]


@pytest.mark.parametrize("sends", [True, False], ids=["statement before", "statement after"])
def test_a_connections_own_commit_is_refused_and_leaves_nothing(
    database_url: str, sql_now: psycopg.Connection, sends: bool
) -> None:
    engine = create_engine(sqlalchemy_url(database_url), pool_size=1, pool_reset_on_return=None)
    with Session(engine) as session:
        if sends:
            session.add(Order(item="tea"))
            session.flush()
        note(session, "a")
        connection = session.connection()
        session.execute(text("INSERT INTO orders (item) VALUES ('milk')"))
        with pytest.raises(RuntimeError, match=r"call session.commit\(\)"):
            connection.commit()
    with engine.begin() as connection:  # the same one
        connection.execute(text("INSERT INTO orders (item) VALUES ('bread')"))
    engine.dispose()
    assert (jobs(sql_now), items(sql_now)) == ([], ["bread"])


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_async_connections_own_commit_is_refused_and_leaves_nothing(
    database_url: str, sql_now: psycopg.Connection, driver: str
) -> None:
    async def use() -> None:
        url = sqlalchemy_url(database_url).set(**DRIVERS[driver])
        engine = create_async_engine(url, pool_size=1, pool_reset_on_return=None)
        async with AsyncSession(engine) as session:
            session.add(Order(item="tea"))
            await session.flush()
            note(session, "a")
            with pytest.raises(RuntimeError, match=r"call session.commit\(\)"):
                await (await session.connection()).commit()
            with pytest.raises(InvalidRequestError):
                await session.commit()
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO orders (item) VALUES ('bread')"))
        await engine.dispose()

    asyncio.run(use())
    assert (jobs(sql_now), items(sql_now)) == ([], ["bread"])


def test_a_connection_may_commit_by_itself_where_no_job_waits(
    session: Session, sql_now: psycopg.Connection
) -> None:
    note(session, "a")
    session.commit()
    connection = session.connection()
    connection.execute(text("INSERT INTO orders (item) VALUES ('tea')"))
    connection.commit()
    assert (jobs(sql_now), items(sql_now)) == (["a"], ["tea"])


@pytest.mark.parametrize("mode", ["rollback_only", "create_savepoint", "control_fully"])
@pytest.mark.parametrize("keeps", [True, False])
def test_in_somebody_elses_transaction_jobs_are_as_rows(
    engine: Engine, sql_now: psycopg.Connection, wakes: list[str], mode: Any, keeps: bool
) -> None:
    """The usual recipe of tests: what the code under test commits is rolled back in the end."""
    info = {WAKE_UP: wakes.append}
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode=mode, info=info) as session:
            session.add(Order(item="tea"))
            note(session, "a")
            session.commit()
            is_inside = outer.is_active
            assert session.scalars(text("SELECT payload->>'text' FROM duly.jobs")).all() == ["a"]
            session.add(Order(item="milk"))
            note(session, "b")
            session.flush()
            session.rollback()
        if outer.is_active:
            (outer.commit if keeps else outer.rollback)()
    is_kept = not is_inside or (keeps and mode == "create_savepoint")
    assert (jobs(sql_now), items(sql_now)) == ((["a"], ["tea"]) if is_kept else ([], []))
    assert bool(wakes) is not is_inside


def test_a_two_phase_commit_prepares_jobs_with_the_rows(
    engine: Engine, sql_now: psycopg.Connection
) -> None:
    (most,) = sql_now.execute("SHOW max_prepared_transactions").fetchone() or ("0",)
    if most == "0":
        pytest.skip("max_prepared_transactions is 0")
    with Session(engine, twophase=True) as session:
        note(session, "a")
        session.prepare()
        with pytest.raises(InvalidRequestError):
            note(session, "late")
        assert jobs(sql_now) == []
        session.commit()
    assert jobs(sql_now) == ["a"]


def test_relays_are_woken_once_by_a_commit_that_wrote_jobs_and_by_nothing_else(
    engine: Engine, sql_now: psycopg.Connection
) -> None:
    sql_now.execute(f"LISTEN {CHANNEL}")
    with Session(engine) as session:
        note(session, "rolled back")
        session.rollback()
        session.add(Order(item="tea"))
        session.commit()
        with session.begin_nested():
            note(session, "a")
        sql_now.execute(f"NOTIFY {CHANNEL}, 'before'")
        assert [each.payload for each in sql_now.notifies(timeout=10, stop_after=1)] == ["before"]
        session.commit()
    assert [each.payload for each in sql_now.notifies(timeout=10, stop_after=1)] == [""]


def test_a_session_is_told_how_to_wake_the_relays(session: Session, wakes: list[str]) -> None:
    for end in (session.rollback, session.commit, session.commit):
        note(session, "a")
        end()
    session.commit()
    assert wakes == [NOTIFY, NOTIFY]


def test_only_jobs_with_keys_wake_the_admission(session: Session, wakes: list[str]) -> None:
    keyed = note_kind("q", "test.keyed", key=lambda note: note.text)
    for kinds in ((keyed,), (keyed, note_kind("q"))):
        for kind in kinds:
            submit(session, kind(text="a"))
        session.commit()
    assert wakes[0] == NOTIFY_KEYS
    assert sorted(wakes[1:]) == sorted([NOTIFY, NOTIFY_KEYS])


STEPS = st.lists(
    st.sampled_from(
        ["submit", "submit", "begin", "begin", "release", "roll back", "flush", "row", "end"]
    ),
    min_size=6,
    max_size=25,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_exactly_the_jobs_of_what_was_committed_exist(
    engine: Engine, sql_now: psycopg.Connection, steps: list[str]
) -> None:
    """Rows say what is right: each job has a row in the same transaction."""
    sql_now.execute("TRUNCATE duly.jobs, duly.outbox_events, orders")
    with Session(engine, info={WAKE_UP: lambda _: None}) as session:
        _take(session, [*steps, "commit"])
    assert jobs(sql_now) == _model([*steps, "commit"])


def _take(session: Session, steps: list[str]) -> None:
    for number, step in enumerate(steps):
        savepoint = session.get_nested_transaction()
        if step == "submit":
            note(session, str(number))
        elif step == "begin":
            session.begin_nested()
        elif step == "release" and savepoint:
            savepoint.commit()
        elif step == "roll back":
            (savepoint or session).rollback()
        elif step == "flush":
            session.flush()
        elif step == "row":
            session.add(Order(item=str(number)))
        elif step == "commit":
            session.commit()
        elif step == "end" and (root := session.get_transaction()):
            root.commit()  # as the end of a `begin()` block does


def _model(steps: list[str]) -> list[str]:
    committed: list[str] = []
    open_: list[list[str]] = [[]]
    for number, step in enumerate(steps):
        if step == "submit":
            open_[-1].append(str(number))
        elif step == "begin":
            open_.append([])
        elif step == "release" and len(open_) > 1:
            released = open_.pop()
            open_[-1] += released
        elif step == "roll back":
            open_.pop()
            open_ = open_ or [[]]
        elif step in ("commit", "end"):
            committed += chain(*open_)
            open_ = [[]]
    return committed
