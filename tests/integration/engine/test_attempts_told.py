"""A job's way is told step by step, by threads and by the event loop alike."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from outbox import Actor, Job, Kind, Retry, Snooze, events, submit, submit_all
from outbox.events import (
    Cancelled,
    Claimed,
    Died,
    Event,
    Failed,
    JobEvent,
    Postponed,
    Published,
    Retried,
    Snoozed,
    Started,
    Submitted,
    Succeeded,
    Superseded,
)
from outbox.postgres.address import sqlalchemy_url
from outbox.submission.sessions import job_sessions
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, Note, note_kind
from tests.support.wait import wait_for

ENDS = (Succeeded, Died, Cancelled)
TAKE = "UPDATE duly.jobs SET worker = 'another' WHERE id = %(id)s"


def way(heard: list[Any], job: UUID) -> list[type]:
    """What was told of the job, but for its messages: those may be taken before they are told."""
    of_job = [each for each in heard if isinstance(each, JobEvent) and each.job_id == job]
    return [type(each) for each in of_job if not isinstance(each, Published)]


def one(heard: list[Any], event_type: type[JobEvent], job: UUID) -> Any:
    """The only event of this type that is told of the job."""
    (found,) = [each for each in heard if type(each) is event_type and each.job_id == job]
    return found


def of_sort(kind: Kind[..., Note], do: Callable[[Note, Job], Any], *, is_async: bool) -> Any:
    """An actor that runs `do` on a thread, or as a task; what `do` returns may be awaitable."""

    async def task(note: Note, job: Job) -> Any:
        returned = do(note, job)
        return await returned if inspect.isawaitable(returned) else returned

    return Actor(kind, task if is_async else do)


def both_sorts(test: Any) -> Any:
    """Run the test with a thread and with a task."""
    return pytest.mark.parametrize("is_async", [False, True], ids=["thread", "task"])(test)


async def complete(job: Job) -> None:
    """Complete the job in a transaction, then raise."""
    async with job.transaction():
        """There is no effect."""
    raise ValueError("too late")


def act(note: Note, job: Job) -> Any:
    """Do what the note says."""
    if note.text == "snooze" and job.dispatch == 1:
        raise Snooze(timedelta(), "not yet")
    if note.text in ("fail", "die") and (job.attempt == 1 or note.text == "die"):
        raise LookupError(f"no {note.text}")
    if note.text == "transaction" and job.open_session:
        with job.transaction():
            """There is no effect."""
        raise ValueError("too late")
    return complete(job) if note.text == "transaction" else None


@both_sorts
def test_each_step_of_an_attempt_is_told_once(
    line: Line, queue: str, heard: list[Any], *, is_async: bool
) -> None:
    kind = note_kind(queue, retry=Retry(attempts=2, first=timedelta()))
    line.start_relay(queue)
    worker = line.start_worker(of_sort(kind, act, is_async=is_async))
    texts = ("succeed", "fail", "die", "snooze", "transaction")
    jobs = {each: line.submit(kind(text=each)) for each in texts}
    wait_for("the ends", lambda: sum(isinstance(each, ENDS) for each in heard) == len(jobs))
    line.stop_worker(worker)  # whatever else it has to tell, it has told

    run = [Claimed, Started]
    assert {each: way(heard, jobs[each]) for each in texts} == {
        "succeed": [Submitted, *run, Succeeded],
        "fail": [Submitted, *run, Failed, Retried, *run, Succeeded],
        "die": [Submitted, *run, Failed, Retried, *run, Failed, Died],
        "snooze": [Submitted, *run, Snoozed, *run, Succeeded],
        "transaction": [Submitted, *run, Succeeded],
    }
    published = [each.dispatch for each in heard if isinstance(each, Published)]
    assert sorted(published) == [1] * 5 + [2] * 3
    about = {"kind": kind.name, "queue": queue, "worker": worker.name}
    retried = one(heard, Retried, jobs["fail"])
    assert retried == Retried(
        job_id=jobs["fail"],
        **about,
        attempt=1,
        error_type="LookupError",
        error="no fail",
        delay_seconds=0,
    )
    died = one(heard, Died, jobs["die"])
    error: Any = {"error_type": "LookupError", "error": "no die"}
    assert died == Died(job_id=jobs["die"], **about, attempt=2, reason="exhausted", **error)
    assert one(heard, Snoozed, jobs["snooze"]).why == "not yet"
    assert 0 <= one(heard, Succeeded, jobs["transaction"]).seconds < 10


@both_sorts
@pytest.mark.parametrize("how", ["retried", "snoozed", "dead", "taken"])
def test_a_job_that_was_cancelled_or_taken_meanwhile_is_told_as_that(
    line: Line, queue: str, by_hand: ByHand, heard: list[Any], how: str, *, is_async: bool
) -> None:
    def do(_note: Note, job: Job) -> None:
        if how == "taken":
            by_hand.take(TAKE, id=job.id)
        else:
            by_hand.cancel(job.id)
            raise Snooze(timedelta()) if how == "snoozed" else LookupError

    kind = note_kind(queue, retry=Retry(attempts=1 if how == "dead" else 2))
    line.start_relay(queue)
    worker = line.start_worker(of_sort(kind, do, is_async=is_async))
    job = line.submit(kind())
    end = Superseded if how == "taken" else Cancelled
    wait_for("its end", lambda: end in way(heard, job))
    line.stop_worker(worker)
    failed = [] if how in ("snoozed", "taken") else [Failed]
    assert way(heard, job) == [Submitted, Claimed, Started, *failed, end]


def test_what_a_stopping_worker_hands_back_is_told_once(
    line: Line, queue: str, heard: list[Any]
) -> None:
    go_on, kind = threading.Event(), note_kind(queue)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, lambda _note, _job: go_on.wait(20)))
    job = line.submit(kind())
    wait_for("it runs", lambda: Started in way(heard, job))
    line.stop_worker(worker, grace=timedelta())
    go_on.set()
    assert one(heard, Snoozed, job).why == "its worker is stopping"
    assert way(heard, job) == [Submitted, Claimed, Started, Snoozed]


@pytest.mark.parametrize(
    ("patience", "end"), [(timedelta(), Died), (timedelta(hours=1), Postponed)]
)
def test_a_job_that_its_worker_does_not_know_is_told(
    line: Line, queue: str, heard: list[Any], patience: timedelta, end: type[JobEvent]
) -> None:
    known, unknown = note_kind(queue), note_kind(queue, "test.unknown")
    line.start_relay(queue)
    worker = line.start_worker(Actor(known, act), patience=patience)
    job = line.submit(unknown())
    wait_for("the end", lambda: len(way(heard, job)) > 1)
    assert way(heard, job) == [Submitted, end]
    said = one(heard, end, job)
    assert (said.queue, said.attempt) == (queue, None)
    assert worker.name in said.why if end is Postponed else said.reason == "unknown_kind"


@both_sorts
@pytest.mark.parametrize("error", [LookupError, SystemExit])
def test_subscribers_that_raise_harm_no_job(
    line: Line, queue: str, error: type[BaseException], *, is_async: bool
) -> None:
    told: set[type] = set()

    def fail(event: Event) -> None:
        told.add(type(event))
        raise error

    kind = note_kind(queue, retry=Retry(attempts=2, first=timedelta()))
    end = events.on(Event, fail)
    try:
        with capture_logs() as logs:
            line.start_relay(queue)
            line.start_worker(of_sort(kind, act, is_async=is_async))
            jobs = [line.submit(kind(text=each)) for each in ("fail", "transaction")]
            assert [line.wait_for(job, "succeeded").attempt for job in jobs] == [2, 1]
            line.wait_for(line.submit(kind(text="die")), "dead")
            line.stop()
    finally:
        end()
    assert "a subscriber failed" in str(logs)
    assert told >= {Submitted, Published, Claimed, Started, Failed, Retried, Succeeded, Died}


def test_submitted_jobs_are_told_with_their_commit_and_not_without(
    engine: Engine, heard: list[Any]
) -> None:
    kind = note_kind("q")
    with Session(engine) as session, session.begin():
        first = submit(session, kind())
        with session.begin_nested():
            submit(session, kind())
            rolled_back = session.begin_nested()
            submit(session, kind())
            rolled_back.rollback()
        submit_all(session, [kind(), kind()])
        assert heard == []
    assert len({each.job_id for each in heard}) == len(heard) == 4
    told = Submitted(job_id=first.id, kind=kind.name, queue="q", run_at=None, parent_id=None)
    assert heard[0] == told

    with Session(engine) as session:
        submit(session, kind())
        session.rollback()
    assert len(heard) == 4


@pytest.mark.parametrize("make", [job_sessions, async_sessionmaker])
def test_an_async_session_tells_of_its_jobs_once_it_has_committed(
    database_url: str, heard: list[Any], make: Callable[[AsyncEngine], Any]
) -> None:
    kind = note_kind("q")

    async def submit_twice() -> UUID:
        engine = create_async_engine(sqlalchemy_url(database_url))
        async with make(engine)() as session:
            submit(session, kind())
            await session.rollback()
            kept = submit(session, kind())
            assert heard == []
            await session.commit()
        await engine.dispose()
        return kept.id

    kept = asyncio.run(submit_twice())
    assert [(type(each), each.job_id) for each in heard] == [(Submitted, kept)]
