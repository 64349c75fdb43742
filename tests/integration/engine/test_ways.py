"""The files that docs/how-it-works.md lists are those that a job passes: it is traced."""

import asyncio
from collections.abc import Collection
from datetime import timedelta
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from uuid_utils.compat import uuid7

from outbox import Actor, Job, Retry, job_sessions, submit
from outbox.events import Retried, Succeeded, on
from outbox.postgres.address import sqlalchemy_url
from outbox.submission import submit as submission
from outbox.worker import ownership
from tests.support.engine.line import Line, Note, note_kind
from tests.support.engine.trace import tracing
from tests.support.wait import wait_for
from tests.support.ways import beside, stations

pytestmark = pytest.mark.slow  # a profiler under a whole suite

STATEMENTS = "outbox/store/transitions/"
"""Its files hold statements and no functions, so no call tells that a job passes them."""


@pytest.fixture(autouse=True)
def job_id(monkeypatch: pytest.MonkeyPatch) -> UUID:
    """The id of the test's job. No comparison of all jobs passes by meanwhile."""
    id_ = uuid7()
    monkeypatch.setattr(submission, "uuid7", lambda: id_)
    monkeypatch.setattr(ownership, "COMPARE_SECONDS", 60)
    return id_


def submit_in_a_handler(database_url: str, work: Any) -> None:
    """Submit it as a request of the API does, on a thread of its own."""

    async def handle() -> None:
        engine = create_async_engine(sqlalchemy_url(database_url))
        async with job_sessions(engine)() as session:
            submit(session, work)
            await session.commit()
        await engine.dispose()

    thread = Thread(target=asyncio.run, args=[handle()])
    thread.start()
    thread.join()


def check(files: Collection[str], listed: list[str]) -> None:
    """Whether these files are the listed ones, and some of those that the page does not count."""
    uncounted = tuple(beside())
    passed = {file for file in files if not file.startswith(uncounted)}
    assert passed == {file for file in listed if not file.startswith(STATEMENTS)}


def test_a_job_passes_the_files_that_are_listed(
    line: Line, queue: str, database_url: str, heard: list[Any], job_id: UUID
) -> None:
    def act(_: Note, job: Job) -> None:
        with job.transaction():
            job.result = 1

    kind = note_kind(queue)
    with tracing(job_id) as trace:
        line.start_relay(queue)
        line.start_worker(Actor(kind, act))
        submit_in_a_handler(database_url, kind())
        wait_for("its end", lambda: [each for each in heard if isinstance(each, Succeeded)])
    check(trace.files, stations("The way of a job"))


def test_a_failing_attempt_passes_the_files_that_are_listed(
    line: Line, queue: str, database_url: str, job_id: UUID
) -> None:
    error = ValueError()

    def act(_: Note, __: Job) -> None:
        trace.files.clear()
        raise error

    def stop(_: Retried) -> None:
        trace.is_on = False

    kind = note_kind(queue, retry=Retry(attempts=2, first=timedelta(hours=1)))
    submit_in_a_handler(database_url, kind())
    line.start_relay(queue)
    end = on(Retried, stop)
    with tracing(job_id, error) as trace:
        line.start_worker(Actor(kind, act))
        wait_for("its retry", lambda: not trace.is_on)
    end()
    check(trace.files, stations("The way of a failing attempt"))
