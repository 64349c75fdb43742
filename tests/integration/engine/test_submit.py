import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import Engine, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from outbox import Actor, Job, Kind, Priority, job_sessions, submit, submit_all
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter, JobRecord
from outbox.postgres.address import sqlalchemy_url
from tests.support.engine.line import Line, Note, do_nothing, note_kind

NOTE = note_kind("q")


class Deep(BaseModel):
    value: Any


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
LATER = datetime(2100, 1, 1, tzinfo=UTC)
YEAR_9999 = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def record(session: Session, job_id: UUID) -> JobRecord:
    """The job, committed, which must be there."""
    session.commit()
    job = jobs.get(session, job_id)
    assert job is not None
    return job


def counts(sql_now: psycopg.Connection) -> tuple[int, int]:
    """How many jobs and outbox events have been committed."""
    found = sql_now.execute(
        "SELECT (SELECT count(*) FROM duly.jobs), (SELECT count(*) FROM duly.outbox_events)"
    ).fetchone()
    assert found is not None
    return found[0], found[1]


def test_a_commit_leaves_the_job_and_its_event(
    session: Session, sql_now: psycopg.Connection
) -> None:
    job = submit(session, NOTE(text="hello"), subject="invoice:1", by="ann")
    assert counts(sql_now) == (0, 0)
    session.commit()

    assert counts(sql_now) == (1, 1)
    stored = record(session, job.id)
    assert (stored.kind, stored.queue, stored.state) == ("test.note", "q", "queued")
    assert (stored.dispatch, stored.attempt, stored.attempt_limit) == (1, 0, 3)
    assert stored.payload == {"text": "hello", "secret": ""}
    assert (stored.subject, stored.submitted_by) == ("invoice:1", "ann")
    assert stored.run_at == stored.created_at


def test_a_rollback_leaves_neither(session: Session, sql_now: psycopg.Connection) -> None:
    submit(session, NOTE())
    session.rollback()
    assert counts(sql_now) == (0, 0)


def test_a_savepoint_that_is_rolled_back_takes_only_its_own_job(
    session: Session, sql_now: psycopg.Connection
) -> None:
    submit(session, NOTE())
    savepoint = session.begin_nested()
    submit(session, NOTE())
    savepoint.rollback()
    session.commit()
    assert counts(sql_now) == (1, 1)


@pytest.mark.parametrize("keep", [True, False])
def test_an_async_session_does_the_same(
    database_url: str, sql_now: psycopg.Connection, keep: bool
) -> None:
    async def use() -> None:
        engine = create_async_engine(sqlalchemy_url(database_url))
        async with AsyncSession(engine) as session:
            job = submit(session, NOTE(text="hello"))
            assert job.kind == "test.note"
            await (session.commit() if keep else session.rollback())
        await engine.dispose()

    asyncio.run(use())
    assert counts(sql_now) == ((1, 1) if keep else (0, 0))


@pytest.mark.parametrize("sessions", [async_sessionmaker, job_sessions])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_session_on_asyncpg_does_the_same(
    database_url: str, sql_now: psycopg.Connection, sessions: Any, jobs: int
) -> None:
    address = make_url(database_url).set(drivername="postgresql+asyncpg", query={})

    async def use() -> None:
        engine = create_async_engine(address)
        async with sessions(engine)() as session:
            submit_all(session, [NOTE(text="rolled back")] * jobs)
            await session.rollback()
            submitted = submit_all(session, [NOTE(text="kept")] * jobs, run_at=LATER)
            await session.commit()
        await engine.dispose()
        assert len({job.id for job in submitted}) == jobs

    asyncio.run(use())
    assert counts(sql_now) == (jobs, jobs)
    found = sql_now.execute("SELECT payload->>'text', run_at FROM duly.jobs").fetchall()
    assert found == [("kept", LATER)] * jobs


def test_many_jobs_are_submitted_together_and_answered_in_their_order(
    session: Session, sql_now: psycopg.Connection
) -> None:
    other = note_kind("another")
    submitted = submit_all(session, [NOTE(text="a"), other(text="b"), NOTE(text="c")], by="ann")
    assert submit_all(session, []) == []
    assert counts(sql_now) == (0, 0)
    session.commit()
    assert counts(sql_now) == (3, 3)
    stored = [record(session, job.id) for job in submitted]
    assert [(job.payload["text"], job.queue) for job in stored] == [
        ("a", "q"),
        ("b", "another"),
        ("c", "q"),
    ]
    assert {job.submitted_by for job in stored} == {"ann"}


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=TEXTS,
    subject=TEXTS | st.none(),
    by=TEXTS | st.none(),
    run_at=st.datetimes(timezones=st.just(UTC)) | st.none(),
    priority=st.sampled_from(Priority) | st.none(),
)
def test_a_job_alone_is_stored_as_one_of_several(
    session: Session, text: str, **options: Any
) -> None:
    alone = submit(session, NOTE(text=text), **options)
    several = submit_all(session, [NOTE(text=text), NOTE(text=text)], **options)
    stored = [replace(record(session, job.id), id=alone.id) for job in (alone, *several)]
    assert stored[0] == stored[1] == stored[2]
    assert (stored[0].payload["text"], stored[0].submitted_by) == (text, options["by"])


@pytest.mark.parametrize("text", ["nul \0", "backslash and nul \\\0"])
def test_a_payload_with_a_nul_is_refused_and_not_shown(session: Session, text: str) -> None:
    with pytest.raises(ValueError, match=r"may not contain NUL$"):
        submit(session, NOTE(text=text))
    assert not session.in_transaction()


def test_a_payload_that_is_nested_too_deeply_is_refused(session: Session) -> None:
    deep = Kind("test.deep", Deep)
    submit(session, deep(value=json.loads("[" * 63 + "]" * 63)))
    with pytest.raises(ValueError, match="up to 64 levels"):
        submit(session, deep(value=json.loads("[" * 64 + "]" * 64)))


def test_a_payload_that_looks_like_a_nul_is_stored(session: Session) -> None:
    job = submit(session, NOTE(text="\\u0000"))
    assert record(session, job.id).payload["text"] == "\\u0000"


@pytest.mark.parametrize("text", ["nul \0", "half a pair \ud800"])
@pytest.mark.parametrize("option", ["by", "subject"])
def test_what_is_no_text_to_postgres_is_refused_before_anything_is_written(
    session: Session, option: str, text: str
) -> None:
    with pytest.raises(ValueError, match=r"NUL|surrogates"):
        submit(session, NOTE(), **{option: text})  # type: ignore[arg-type]
    assert not session.in_transaction()


def test_an_async_session_submits_many(database_url: str, sql_now: psycopg.Connection) -> None:
    async def use() -> None:
        engine = create_async_engine(sqlalchemy_url(database_url))
        async with AsyncSession(engine) as session, session.begin():
            assert len(submit_all(session, [NOTE(), NOTE()])) == 2
        await engine.dispose()

    asyncio.run(use())
    assert counts(sql_now) == (2, 2)


@pytest.mark.parametrize("priority", Priority)
def test_a_jobs_own_priority_goes_before_its_kinds(session: Session, priority: Priority) -> None:
    kind = note_kind("q", priority=Priority.LOW)
    assert record(session, submit(session, kind()).id).priority == Priority.LOW
    assert record(session, submit(session, kind(), priority=priority).id).priority == priority


def test_a_priority_that_no_relay_looks_for_is_refused_before_anything_is_written(
    session: Session, sql_now: psycopg.Connection
) -> None:
    with pytest.raises(ValueError, match="3 is not a valid Priority"):
        submit(session, NOTE(), priority=3)  # type: ignore[arg-type]
    session.commit()
    assert counts(sql_now) == (0, 0)


def test_jobs_are_found_by_subject(session: Session) -> None:
    ours = submit(session, NOTE(), subject="invoice:1")
    submit(session, NOTE(), subject="invoice:2")
    session.commit()
    assert [job.id for job in jobs.find(session, JobFilter(subject="invoice:1"))] == [ours.id]


def test_a_run_at_without_a_time_zone_is_refused(session: Session) -> None:
    naive = datetime(2030, 1, 1)  # noqa: DTZ001 - the mistake that the test is about
    with pytest.raises(ValueError, match="time zone"):
        submit(session, NOTE(), run_at=naive)


def test_a_run_at_in_the_year_9999_is_kept(session: Session) -> None:
    job = submit(session, NOTE(), run_at=YEAR_9999)
    assert job.run_at == YEAR_9999
    assert record(session, job.id).run_at == YEAR_9999


def test_a_job_waits_for_its_run_at_and_no_longer(line: Line, queue: str) -> None:
    kind = note_kind(queue)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do_nothing))
    far, at_once = line.submit(kind(), run_at=YEAR_9999), line.submit(kind())
    near = line.submit(kind(), run_at=soon)

    line.wait_for(at_once, "succeeded")
    done = line.wait_for(near, "succeeded")

    assert done.started_at is not None
    assert soon <= done.started_at < soon + timedelta(seconds=3)
    assert (line.job(far).state, line.job(far).attempt) == ("queued", 0)


def test_a_run_at_in_the_past_means_now(line: Line, queue: str) -> None:
    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do_nothing))
    past = datetime(1970, 1, 1, tzinfo=UTC)
    line.wait_for(line.submit(kind(), run_at=past), "succeeded")


def test_what_an_actor_submits_has_the_running_job_as_its_parent(
    line: Line, engine: Engine, queue: str
) -> None:
    first, second = note_kind(queue), note_kind(queue, "test.second")

    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            submit(tx, second())
            submit(tx, second(), subject="its own")

    line.start_relay(queue)
    line.start_worker(Actor(first, do), Actor(second, do_nothing))
    parent = line.submit(first(), subject="invoice:1")
    line.wait_for(parent, "succeeded")

    with Session(engine) as session:
        children = jobs.find(session, JobFilter(kind="test.second"))
    assert [child.parent_id for child in children] == [parent, parent]
    assert {child.subject for child in children} == {"invoice:1", "its own"}
    for child in children:
        line.wait_for(child.id, "succeeded")
