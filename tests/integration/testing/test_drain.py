"""`drain` on a real Postgres, without RabbitMQ."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from outbox import Kind, Work, batch, submit
from outbox.operations import jobs
from outbox.testing import drain, submitted
from tests.integration.testing.parts import ACTORS, FOLLOW, KEEP, KEEP_ASYNC, TABLE, follow

BOTH = pytest.mark.parametrize("kind", [KEEP, KEEP_ASYNC], ids=["def", "async def"])
AnyKind = Kind[..., Any]
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def notes(sql_now: psycopg.Connection) -> None:
    sql_now.execute(TABLE)


@BOTH
def test_a_due_job_runs_and_so_does_the_one_that_it_submits(
    engine: Engine, database_url: str, kind: AnyKind, sql_now: psycopg.Connection
) -> None:
    _submit(engine, kind(text="tea"))
    kept, followed = drain(ACTORS, database_url)
    assert (kept.kind, kept.state, kept.result) == (kind.name, "succeeded", {"kept": "tea"})
    assert (followed.kind, followed.state) == (FOLLOW.name, "succeeded")
    assert (followed.result, followed.parent_id) == ("tea after 1", kept.id)
    assert sql_now.execute("SELECT text FROM notes").fetchall() == [("tea",)]
    assert drain(ACTORS, database_url) == []


@BOTH
def test_a_failure_is_put_off_and_repeated_once_its_time_has_come(
    engine: Engine, session: Session, kind: AnyKind
) -> None:
    began = datetime.now(UTC)
    _submit(engine, kind(text="tea", end="once"))
    [kept] = drain(ACTORS, engine)
    assert (kept.state, kept.attempt, kept.dispatch) == ("queued", 1, 2)
    assert kept.run_at >= began + kind.retry.first
    [attempt] = jobs.attempts(session, kept.id)
    assert (attempt.error_type, attempt.error_message) == ("ValueError", "the first time")
    assert "outbox" not in (attempt.traceback or "outbox")
    kept, followed = drain(ACTORS, engine, until=datetime.now(UTC) + DAY)
    assert (kept.state, kept.attempt, followed.state) == ("succeeded", 2, "succeeded")


@BOTH
@pytest.mark.parametrize(("end", "reason"), [("refused", "refused"), ("always", "exhausted")])
def test_a_job_dies_as_it_would_in_a_worker(
    engine: Engine, kind: AnyKind, sql_now: psycopg.Connection, end: str, reason: str
) -> None:
    _submit(engine, kind(text="tea", end=end))
    [dead] = drain(ACTORS, engine, until=datetime.now(UTC) + DAY)
    assert dead.state == "dead"
    letters = sql_now.execute("SELECT job_id, reason FROM duly.dead_letters").fetchall()
    assert letters == [(dead.id, reason)]
    assert sql_now.execute("SELECT text FROM notes").fetchall() == []


def test_a_job_that_puts_itself_off_ends_the_drain_at_its_limit(engine: Engine) -> None:
    now = datetime.now(UTC)
    _submit(engine, KEEP(text="tea", end="snooze"))
    [put_off] = drain(ACTORS, engine, until=now + timedelta(hours=2.5))
    assert (put_off.state, put_off.attempt, put_off.dispatch) == ("queued", 0, 4)
    assert now + timedelta(hours=3) < put_off.run_at < now + timedelta(hours=3.5)


def test_jobs_for_later_and_of_other_kinds_stay(engine: Engine) -> None:
    now = datetime.now(UTC)
    _submit(engine, FOLLOW(text="later"), run_at=now + DAY)
    _submit(engine, FOLLOW(text="last"), run_at=now + 2 * DAY)
    _submit(engine, KEEP(text="other"))
    assert drain([follow], engine) == []
    [later] = drain([follow], engine, until=now + 1.5 * DAY)
    assert later.result == "later after 1"


def test_an_invalid_payload_is_dead_at_once(engine: Engine, sql_now: psycopg.Connection) -> None:
    _submit(engine, KEEP(text="tea"))
    sql_now.execute("UPDATE duly.jobs SET payload = '{}'")
    [dead] = drain(ACTORS, engine)
    assert dead.state == "dead"
    assert sql_now.execute("SELECT reason FROM duly.dead_letters").fetchall() == [
        ("invalid_payload",)
    ]


@BOTH
def test_a_result_after_the_completion_is_raised(engine: Engine, kind: AnyKind) -> None:
    _submit(engine, kind(text="tea", end="late"))
    with pytest.raises(RuntimeError, match="after its transaction had completed the job"):
        drain(ACTORS, engine)


def test_an_async_test_drains_on_another_thread(database_url: str, engine: Engine) -> None:
    url = make_url(database_url).set(drivername="postgresql+asyncpg")
    _submit(engine, KEEP_ASYNC(text="tea"))

    async def test() -> None:
        app_engine = create_async_engine(url)
        with pytest.raises(RuntimeError, match="to_thread"):
            drain(ACTORS, app_engine)
        kept, _ = await asyncio.to_thread(drain, ACTORS, app_engine)
        assert kept.state == "succeeded"
        await app_engine.dispose()

    asyncio.run(test())


def _submit(engine: Engine, *works: Work[Any], **options: Any) -> None:
    with Session(engine) as session, session.begin():
        for work in works:
            submit(session, work, **options)


def test_a_batch_settles_and_its_callback_runs(
    engine: Engine, session: Session, sql_now: psycopg.Connection
) -> None:
    with batch(session, on_success=FOLLOW(text="all"), on_settled=FOLLOW(text="over")) as group:
        submit(session, KEEP(text="tea"))
        submit(session, KEEP_ASYNC(text="milk"))
    assert [job.kind for job in submitted(session)] == [KEEP.name, KEEP_ASYNC.name]
    session.commit()
    ran = drain(ACTORS, engine)
    callbacks = [job for job in ran if job.subject == f"batch:{group.id}"]
    assert sorted(job.result for job in callbacks) == ["all after 1", "over after 1"]
    assert [job.batch_id for job in ran[:2]] == [group.id] * 2
