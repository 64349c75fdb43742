"""Jobs that travel with the COMMIT: they are there exactly if it was made."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InternalError,
    InvalidRequestError,
)
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, sessionmaker

from outbox import Work, job_sessions, submit, submit_all
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.outages import is_unreachable
from outbox.store import transitions
from outbox.submission.pending import WAKE_UP
from tests.support.engine.line import note_kind
from tests.support.network import proxy
from tests.support.network.proxy import Proxy
from tests.support.wait import wait_for

NOTE = note_kind("q")
ROW = text("INSERT INTO orders (item) VALUES ('tea')")
LEFT = """
SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM duly.jobs),
       (SELECT count(*) FROM duly.outbox_events)
"""
BREAK = """
CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {} RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER break AFTER INSERT ON {} DEFERRABLE INITIALLY {}
FOR EACH ROW EXECUTE FUNCTION break()
"""
ASLEEP = """
SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'
"""
TEXTS = ASLEEP.replace("SELECT FROM", "SELECT query FROM")
SUICIDE = "PERFORM pg_terminate_backend(pg_backend_pid());"
NOBODY_WAKES = {WAKE_UP: lambda _: None}
"""`info` of sessions whose statements are counted."""
WHERE = [("orders", "DEFERRED"), ("duly.jobs", "DEFERRED"), ("duly.jobs", "IMMEDIATE")]

Sessions = async_sessionmaker[AsyncSession]
Use = Callable[[Sessions], Awaitable[None]]
Run = Callable[[str, Use], None]


@pytest.fixture(autouse=True)
def orders(sql_now: psycopg.Connection) -> Iterator[None]:
    """A table of the business, and nothing broken afterwards."""
    sql_now.execute("CREATE TABLE orders (item text)")
    yield
    sql_now.execute("DROP FUNCTION IF EXISTS break CASCADE")
    sql_now.execute("DROP TABLE orders")


@pytest.fixture
def postgres(database_url: str) -> Iterator[Proxy]:
    """The way to Postgres, which counts."""
    with proxy.before(database_url) as counting:
        yield counting


@pytest.fixture(params=[False, True], ids=["unprepared", "prepared"])
def is_prepared(request: pytest.FixtureRequest) -> bool:
    """Whether psycopg has prepared SUBMIT on the engine's connection."""
    return bool(request.param)


async def prepare(connection: AsyncConnection) -> None:
    """Have psycopg meet both steps, and leave nothing."""
    await connection.exec_driver_sql(transitions.SUBMIT_ALL, {"jobs": "[]"})
    async with AsyncSession(connection) as session:
        submit(session, NOTE())
        await session.commit()
    await connection.execute(text("DELETE FROM duly.jobs"))
    await connection.execute(text("DELETE FROM duly.outbox_events"))


@pytest.fixture
def run(is_prepared: bool, sql_now: psycopg.Connection) -> Run:
    """Gives sessions of an engine to what uses them."""

    def run(database_url: str, use: Use) -> None:
        asyncio.run(with_engine(database_url, use))

    async def with_engine(database_url: str, use: Use) -> None:
        threshold = {"prepare_threshold": 0 if is_prepared else None}
        engine = create_async_engine(sqlalchemy_url(database_url), connect_args=threshold)
        sessions = job_sessions(engine)
        sql_now.execute("ALTER TABLE duly.jobs DISABLE TRIGGER USER")
        try:
            async with engine.begin() as connection:
                await prepare(connection)
            sql_now.execute("ALTER TABLE duly.jobs ENABLE TRIGGER USER")
            await use(sessions)
        finally:
            await engine.dispose()

    return run


async def order(session: AsyncSession) -> None:
    """A row and a job."""
    await session.execute(ROW)
    submit(session, NOTE(text="hello"))


def left(sql_now: psycopg.Connection) -> tuple[int, int, int]:
    """How many orders, jobs and events have been committed."""
    found = sql_now.execute(LEFT).fetchone()
    assert found is not None
    return found[0], found[1], found[2]


def test_a_block_that_ends_has_committed_rows_and_jobs(
    run: Run, database_url: str, sql_now: psycopg.Connection
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions.begin() as session:
            await order(session)
            submit_all(session, [NOTE(), NOTE()], subject="invoice:1", by="ann")
            assert left(sql_now) == (0, 0, 0)
        assert left(sql_now) == (1, 3, 3)

    run(database_url, use)
    stored = sql_now.execute("SELECT payload->>'text', subject, submitted_by FROM duly.jobs")
    assert sorted(stored, key=str) == [
        ("", "invoice:1", "ann"),
        ("", "invoice:1", "ann"),
        ("hello", None, None),
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_psycopg_has_prepared_needs_none_of_its_pipelines(
    run: Run,
    is_prepared: bool,
    database_url: str,
    sql_now: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    jobs: int,
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions.begin() as session:
            await session.execute(ROW)
            submit_all(session, [NOTE()] * jobs)

    def count(connection: psycopg.AsyncConnection) -> Any:
        entered.append(connection)
        return pipeline(connection)

    entered: list[psycopg.AsyncConnection] = []
    pipeline = psycopg.AsyncConnection.pipeline
    monkeypatch.setattr(psycopg.AsyncConnection, "pipeline", count)
    run(database_url, use)
    assert left(sql_now) == (1, jobs, jobs)
    assert bool(entered) is not is_prepared


def test_jobs_cost_no_round_trip_of_their_own(run: Run, postgres: Proxy, database_url: str) -> None:
    async def use(sessions: Sessions) -> None:
        for jobs in (1, 0, 1, 2, 100):  # the first one connects
            before = postgres.round_trips
            async with sessions(info=NOBODY_WAKES) as session, session.begin():
                await session.execute(ROW)
                for _ in range(jobs):
                    submit(session, NOTE())
            counted.append(postgres.round_trips - before)

    counted: list[int] = []
    run(postgres.url(database_url), use)
    assert counted[1:] == [3, 3, 3, 3]  # BEGIN, the row, COMMIT


def test_an_error_in_the_block_leaves_neither(
    run: Run, database_url: str, sql_now: psycopg.Connection
) -> None:
    async def fail(sessions: Sessions) -> None:
        async with sessions.begin() as session:
            await order(session)
            raise LookupError

    async def use(sessions: Sessions) -> None:
        with pytest.raises(LookupError):
            await fail(sessions)
        async with sessions.begin() as session:
            await session.execute(ROW)

    run(database_url, use)
    assert left(sql_now) == (1, 0, 0)


def test_a_rollback_forgets_the_jobs_before_it_and_no_others(
    run: Run, database_url: str, sql_now: psycopg.Connection
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            await order(session)
            await session.rollback()
            await session.commit()
            assert left(sql_now) == (0, 0, 0)
            await order(session)
            await session.commit()

    run(database_url, use)
    assert left(sql_now) == (1, 1, 1)


@pytest.mark.parametrize(("table", "moment"), WHERE)
def test_what_fails_at_the_commit_raises_and_leaves_neither(
    run: Run, database_url: str, sql_now: psycopg.Connection, table: str, moment: str
) -> None:
    sql_now.execute(BREAK.format("RAISE integrity_constraint_violation;", table, moment))

    async def use(sessions: Sessions) -> None:
        with pytest.raises(IntegrityError):
            async with sessions.begin() as session:
                await order(session)
        sql_now.execute("DROP FUNCTION break CASCADE")
        async with sessions.begin() as session:  # the connection is as good as new
            await order(session)

    run(database_url, use)
    assert left(sql_now) == (1, 1, 1)


@pytest.mark.parametrize(("table", "moment"), WHERE)
def test_the_connection_of_a_failed_commit_is_clean_for_the_next_request(
    run: Run, database_url: str, sql_now: psycopg.Connection, table: str, moment: str
) -> None:
    sql_now.execute(BREAK.format("RAISE integrity_constraint_violation;", table, moment))

    async def request(sessions: Sessions) -> None:
        async with sessions() as session:
            await order(session)
            await session.commit()

    async def use(sessions: Sessions) -> None:
        with pytest.raises(IntegrityError):
            await request(sessions)
        sql_now.execute("DROP FUNCTION break CASCADE")
        await request(sessions)

    run(database_url, use)
    assert left(sql_now) == (1, 1, 1)


@pytest.mark.parametrize("text", ["nul \0", "half a pair \ud800"])
@pytest.mark.parametrize("option", ["by", "subject"])
def test_what_is_no_text_to_postgres_is_refused_before_the_commit(
    run: Run, database_url: str, sql_now: psycopg.Connection, option: str, text: str
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            await session.execute(ROW)
            with pytest.raises(ValueError, match=r"NUL|surrogates"):
                submit(session, NOTE(), **{option: text})  # type: ignore[arg-type]
        async with sessions() as session:
            await session.commit()

    run(database_url, use)
    assert left(sql_now) == (0, 0, 0)


def test_answers_that_make_no_sense_fail_the_commit(
    run: Run, postgres: Proxy, database_url: str
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            await order(session)
            postgres.garbles = True
            with pytest.raises(DBAPIError):
                await asyncio.wait_for(session.commit(), 10)

    run(postgres.url(database_url), use)


def test_what_stops_a_commit_half_way_leaves_no_answers_to_the_next_request(
    run: Run, database_url: str, sql_now: psycopg.Connection
) -> None:
    def fail(_: psycopg.Notify) -> None:
        raise LookupError

    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            connection = await session.connection()
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await order(session)
            driver.add_notify_handler(fail)
            await session.execute(text("NOTIFY odd"))
            await session.execute(text("LISTEN odd"))
            with pytest.raises((LookupError, DBAPIError)):  # where psycopg has another to tell
                await session.commit()
        async with sessions() as session:
            await order(session)
            await session.commit()

    run(database_url, use)
    assert left(sql_now) == (2, 2, 2)


@pytest.mark.parametrize(("table", "moment"), WHERE)
def test_a_connection_that_breaks_at_the_commit_is_told_as_such_and_replaced(
    run: Run, database_url: str, sql_now: psycopg.Connection, table: str, moment: str
) -> None:
    sql_now.execute(BREAK.format(SUICIDE, table, moment))

    async def use(sessions: Sessions) -> None:
        with pytest.raises(DBAPIError) as raised:
            async with sessions.begin() as session:
                await order(session)
        assert is_unreachable(raised.value)
        assert "the connection is closed" not in str(raised.value)  # which says nothing of why
        assert left(sql_now) == (0, 0, 0)
        sql_now.execute("DROP FUNCTION break CASCADE")
        async with sessions.begin() as session:
            await order(session)

    run(database_url, use)
    assert left(sql_now) == (1, 1, 1)


def test_a_task_cancelled_at_the_commit_leaves_all_or_none_and_no_broken_connection(
    run: Run, database_url: str, sql_now: psycopg.Connection
) -> None:
    sql_now.execute(BREAK.format("PERFORM pg_sleep(2);", "orders", "DEFERRED"))

    async def commit(sessions: Sessions) -> None:
        async with sessions() as session:
            await order(session)
            await session.commit()

    async def use(sessions: Sessions) -> None:
        task = asyncio.create_task(commit(sessions))
        await asyncio.to_thread(wait_for, "a slow commit", lambda: sql_now.execute(ASLEEP).rowcount)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await commit(sessions)

    run(database_url, use)
    wait_for("its end", lambda: not sql_now.execute(ASLEEP).rowcount)
    assert left(sql_now) in {(1, 1, 1), (2, 2, 2)}


def test_a_commit_that_is_given_up_before_it_was_sent_commits_no_row_without_its_job(
    run: Run, database_url: str, sql_now: psycopg.Connection
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            connection = await session.connection()
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await order(session)
            async with driver.lock:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(session.commit(), 0.1)
            with pytest.raises(InvalidRequestError):
                await session.commit()

    run(database_url, use)
    assert left(sql_now) == (0, 0, 0)


def test_a_time_limit_at_the_commit_is_one_even_where_postgres_is_silent(
    run: Run, postgres: Proxy, database_url: str
) -> None:
    async def commit(sessions: Sessions) -> None:
        async with sessions() as session:
            await order(session)
            postgres.swallow()
            await session.commit()  # at the end of a `begin()` block SQLAlchemy shields it

    async def use(sessions: Sessions) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(commit(sessions), 0.5)

    run(postgres.url(database_url), use)


def test_a_statement_that_failed_unnoticed_fails_the_commit(
    run: Run, database_url: str, sql_now: psycopg.Connection
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            await order(session)
            with pytest.raises(DBAPIError):
                await session.execute(text("SELECT 1 / 0"))
            with pytest.raises(InternalError):
                await session.commit()

    run(database_url, use)
    assert left(sql_now) == (0, 0, 0)


def test_a_savepoint_that_is_rolled_back_takes_only_its_own_job(
    run: Run, database_url: str, sql_now: psycopg.Connection
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions.begin() as session:
            await order(session)
            outer = await session.begin_nested()
            submit(session, NOTE(text="rolled back"))
            async with session.begin_nested():
                submit(session, NOTE(text="rolled back"))
            await outer.rollback()
            async with session.begin_nested():
                submit(session, NOTE(text="kept"))

    run(database_url, use)
    stored = sql_now.execute("SELECT payload->>'text' FROM duly.jobs").fetchall()
    assert sorted(stored) == [("hello",), ("kept",)]


@pytest.mark.parametrize("whose", ["connection", "driver"])
def test_a_commit_that_passes_the_session_by_is_refused_and_leaves_nothing(
    run: Run, database_url: str, sql_now: psycopg.Connection, whose: str
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            connection = await session.connection()
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await order(session)
            with pytest.raises(RuntimeError, match=r"call session.commit\(\)"):
                await {"connection": connection, "driver": driver}[whose].commit()
        async with sessions.begin() as session:
            await session.execute(ROW)

    run(database_url, use)
    assert left(sql_now) == (1, 0, 0)


class Own(Session):
    """What an application makes of its sessions."""


class AsyncOwn(AsyncSession):
    sync_session_class = Own


@pytest.mark.parametrize(
    "options",
    [
        {"sync_session_class": Own},
        {"class_": AsyncOwn},
        {"sync_session_class": sessionmaker(class_=Own)},
    ],
)
def test_sessions_are_of_the_applications_classes(
    database_url: str, sql_now: psycopg.Connection, options: dict[str, Any]
) -> None:
    async def use() -> None:
        engine = create_async_engine(sqlalchemy_url(database_url))
        async with job_sessions(engine, **options)() as session:
            assert isinstance(session.sync_session, Own)
            for _ in range(2):
                await order(session)
                await session.commit()
        await engine.dispose()

    asyncio.run(use())
    assert left(sql_now) == (2, 2, 2)


def test_a_session_that_has_another_engine_for_jobs_writes_them_there(
    database_url: str, sql_now: psycopg.Connection
) -> None:
    async def use() -> None:
        one, other = (create_async_engine(sqlalchemy_url(database_url)) for _ in range(2))

        class Routed(Session):
            def get_bind(self, *whose: Any, clause: Any = None, **more: Any) -> Any:
                routed = super().get_bind(*whose, clause=clause, **more)
                return other.sync_engine if clause is None else routed

        async with job_sessions(one, sync_session_class=Routed)() as session:
            await order(session)
            await session.commit()
        await asyncio.gather(one.dispose(), other.dispose())

    asyncio.run(use())
    assert left(sql_now) == (1, 1, 1)


@pytest.mark.parametrize("options", [{"isolation_level": "AUTOCOMMIT"}, {}])
def test_a_transaction_of_nothing_but_a_job_commits_it(
    run: Run, database_url: str, sql_now: psycopg.Connection, options: dict[str, str]
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            _ = await session.connection(execution_options=options)
            submit(session, NOTE())
            await session.commit()

    run(database_url, use)
    assert left(sql_now) == (0, 1, 1)


def test_a_session_that_is_closed_leaves_no_jobs_to_the_next_on_its_connection(
    run: Run, database_url: str, sql_now: psycopg.Connection
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            await order(session)
        async with sessions.begin() as session:
            await session.execute(ROW)

    run(database_url, use)
    assert left(sql_now) == (1, 0, 0)


@pytest.mark.parametrize("is_older", [True, False], ids=["older", "the application's own"])
def test_jobs_are_written_just_before_the_commit_on_connections_that_are_not_ours(
    database_url: str, sql_now: psycopg.Connection, is_older: bool
) -> None:
    async def connect() -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(database_url)

    async def use() -> None:
        options: dict[str, Any] = {} if is_older else {"async_creator": connect}
        engine = create_async_engine(sqlalchemy_url(database_url), **options)
        async with engine.connect() as connection:
            await connection.execute(ROW)
        async with job_sessions(engine).begin() as session:
            await order(session)
        await engine.dispose()

    asyncio.run(use())
    assert left(sql_now) == (1, 1, 1)


@pytest.mark.parametrize("writes", [True, False], ids=["row and job", "job"])
def test_a_commit_that_a_listener_refused_leaves_nothing_to_the_next_transaction(
    database_url: str, sql_now: psycopg.Connection, writes: bool
) -> None:
    """SQLAlchemy takes the transaction for ended, and would not roll it back."""

    def refuse(_: object) -> None:
        raise ValueError("not now")

    async def use() -> None:
        engine = create_async_engine(sqlalchemy_url(database_url), pool_size=1)
        sessions = job_sessions(engine)
        event.listen(engine.sync_engine, "commit", refuse)
        async with sessions() as session:
            if writes:
                await session.execute(ROW)
            submit(session, NOTE())
            with pytest.raises(ValueError, match="not now"):
                await session.commit()
        event.remove(engine.sync_engine, "commit", refuse)
        async with sessions.begin() as session:
            await session.execute(ROW)
        await engine.dispose()

    asyncio.run(use())
    assert left(sql_now) == (1, 0, 0)


def test_other_sessions_of_the_engine_are_as_fast(
    postgres: Proxy, database_url: str, sql_now: psycopg.Connection
) -> None:
    async def use() -> None:
        engine = create_async_engine(sqlalchemy_url(postgres.url(database_url)))
        job_sessions(engine)
        for _ in range(3):  # the first one connects, and the second one prepares
            before = postgres.round_trips
            async with AsyncSession(engine, info=NOBODY_WAKES) as session, session.begin():
                await session.execute(ROW)
                submit(session, NOTE())
        assert postgres.round_trips == before + 3
        await engine.dispose()

    asyncio.run(use())
    assert left(sql_now) == (3, 3, 3)


@pytest.mark.parametrize("mode", ["rollback_only", "create_savepoint"])
def test_in_a_transaction_of_somebody_elses_they_are_written_by_the_sessions_commit(
    database_url: str, sql_now: psycopg.Connection, mode: Any
) -> None:
    """So that what the connection reads next finds them, and its rollback takes them back."""

    async def use() -> None:
        engine = create_async_engine(sqlalchemy_url(database_url))
        sessions = job_sessions(engine)
        async with engine.connect() as connection:
            outer = await connection.begin()
            async with sessions(bind=connection, join_transaction_mode=mode) as session:
                await order(session)
                await session.commit()
            assert await connection.scalar(text("SELECT count(*) FROM duly.jobs")) == 1
            await outer.rollback()
        await engine.dispose()

    asyncio.run(use())
    assert left(sql_now) == (0, 0, 0)


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_session_whose_connection_was_ended_by_itself_cannot_commit(
    run: Run, database_url: str, sql_now: psycopg.Connection, end: str
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            connection = await session.connection()
            await session.execute(ROW)
            await getattr(connection, end)()
            submit(session, NOTE())
            with pytest.raises(InvalidRequestError):
                await session.commit()
        async with sessions.begin() as session:
            await session.execute(ROW)

    run(database_url, use)
    assert left(sql_now) == ((2, 0, 0) if end == "commit" else (1, 0, 0))


@pytest.mark.parametrize("reset", [None, "commit"])
def test_a_job_that_nobody_commits_is_no_part_of_the_next_transaction(
    database_url: str, sql_now: psycopg.Connection, reset: Any
) -> None:
    async def use() -> None:
        engine = create_async_engine(
            sqlalchemy_url(database_url), pool_size=1, pool_reset_on_return=reset
        )
        async with job_sessions(engine)() as session:
            connection = await session.connection()
            await connection.rollback()
            submit(session, NOTE())
            with pytest.raises(InvalidRequestError):
                await session.commit()
        async with engine.begin() as connection:
            await connection.execute(ROW)
        await engine.dispose()

    asyncio.run(use())
    assert left(sql_now) == (1, 0, 0)


@pytest.mark.parametrize("jobs", [0, 1])
def test_a_job_submitted_in_the_midst_of_a_commit_is_refused(
    run: Run, database_url: str, sql_now: psycopg.Connection, jobs: int
) -> None:
    sql_now.execute(BREAK.format("PERFORM pg_sleep(1);", "orders", "DEFERRED"))

    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            await session.execute(ROW)
            submit_all(session, [NOTE()] * jobs)
            commit = asyncio.create_task(session.commit())
            asleep = lambda: sql_now.execute(ASLEEP).rowcount  # noqa: E731
            await asyncio.to_thread(wait_for, "a slow commit", asleep)
            with pytest.raises(InvalidRequestError):
                submit(session, NOTE())
            await commit
            await session.commit()

    run(database_url, use)
    assert left(sql_now) == (1, jobs, jobs)


@pytest.mark.parametrize("jobs", [1, 2])
def test_texts_are_stored_whatever_the_client_encoding_is(
    database_url: str, sql_now: psycopg.Connection, jobs: int
) -> None:
    async def use() -> None:
        arguments = {"options": "-c client_encoding=latin1", "prepare_threshold": 0}
        engine = create_async_engine(sqlalchemy_url(database_url), connect_args=arguments)
        sessions = job_sessions(engine)
        for _ in range(3):
            async with sessions.begin() as session:
                await session.execute(ROW)
                submit_all(session, [NOTE(text="caf\u00e9 \u20ac")] * jobs, by="Ren\u00e9")
        await engine.dispose()

    asyncio.run(use())
    stored = sql_now.execute("SELECT payload->>'text', submitted_by FROM duly.jobs").fetchall()
    assert stored == [("caf\u00e9 \u20ac", "Ren\u00e9")] * 3 * jobs


def test_no_text_is_cut_at_a_nul(
    run: Run, database_url: str, sql_now: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions() as session:
            await session.execute(ROW)
            with monkeypatch.context() as patch:
                patch.setattr(Work, "to_json", lambda _: "{}\0 and more")
                submit(session, NOTE())
            with pytest.raises(DataError):
                await session.commit()

    run(database_url, use)
    assert left(sql_now) == (0, 0, 0)


def test_where_each_statement_commits_a_job_is_written_by_the_sessions_commit_all_the_same(
    database_url: str, sql_now: psycopg.Connection
) -> None:
    async def use() -> None:
        url = sqlalchemy_url(database_url)
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
        async with job_sessions(engine)() as session:
            await session.execute(ROW)
            submit(session, NOTE())
            assert left(sql_now) == (1, 0, 0)
            await session.commit()
            assert left(sql_now) == (1, 1, 1)
        await engine.dispose()

    asyncio.run(use())


def test_no_payload_is_in_a_statements_text_where_the_applications_cursors_put_it_there(
    database_url: str, sql_now: psycopg.Connection
) -> None:
    sql_now.execute(BREAK.format("PERFORM pg_sleep(1);", "duly.jobs", "IMMEDIATE"))

    async def use() -> None:
        cursors = {"cursor_factory": psycopg.AsyncClientCursor}
        engine = create_async_engine(sqlalchemy_url(database_url), connect_args=cursors)
        async with job_sessions(engine)() as session:
            await session.execute(ROW)
            submit(session, NOTE(secret="hunter2"))
            commit = asyncio.create_task(session.commit())
            await asyncio.to_thread(wait_for, "SUBMIT", lambda: sql_now.execute(TEXTS).rowcount)
            texts = str(sql_now.execute(TEXTS).fetchall())
            await commit
        await engine.dispose()
        assert "INSERT INTO duly.jobs" in texts
        assert "hunter2" not in texts

    asyncio.run(use())
    assert left(sql_now) == (1, 1, 1)
