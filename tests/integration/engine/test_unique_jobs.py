"""Jobs of unique kinds, from their submission to their end, by real relays and workers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from outbox import Actor, Job, Unique, flush_jobs, submit
from outbox.store import transitions
from outbox.worker.records.group_commit import GroupCommit
from tests.support.engine.line import Line, Note, note_kind
from tests.support.wait import wait_for

SEE = text("UPDATE asked SET seen_by = :job WHERE seen_by IS NULL AND key = :key")
UNSEEN = "SELECT count(*) FROM asked WHERE seen_by IS NULL"


@pytest.fixture
def asked(sql_now: psycopg.Connection) -> Any:
    """What the submissions ask for, and who has seen it."""
    sql_now.execute("CREATE TABLE asked (key text, seen_by uuid)")
    yield
    sql_now.execute("DROP TABLE asked")


def test_what_is_submitted_before_the_job_starts_is_that_job(line: Line, queue: str) -> None:
    kind = note_kind(queue, unique=Unique("text"))
    ran: list[str] = []

    def note(_: Note, job: Job) -> None:
        ran.append(str(job.id))

    first = line.submit(kind(text="a"))
    assert line.submit(kind(text="a")) == first
    other = line.submit(kind(text="b"))
    line.start_relay(queue)
    line.start_worker(Actor(kind, note))
    line.wait_for(first, "succeeded")
    line.wait_for(other, "succeeded")
    later = line.submit(kind(text="a"))
    line.wait_for(later, "succeeded")
    assert sorted(ran) == sorted(map(str, (first, other, later)))


def test_no_submission_is_lost_on_a_job_that_has_started(
    line: Line, engine: Engine, queue: str, asked: None, sql_now: psycopg.Connection
) -> None:
    kind = note_kind(queue, unique=Unique("text"))

    def see(note: Note, job: Job) -> None:
        with job.transaction() as session:
            session.execute(SEE, {"job": job.id, "key": note.text})

    def ask(times: int) -> int:
        duplicates = 0
        for number in range(times):
            key = str(number % 2)
            with Session(engine) as session, session.begin():
                job = submit(session, kind(text=key))
                flush_jobs(session)
                session.execute(text("INSERT INTO asked VALUES (:key)"), {"key": key})
            duplicates += job.is_duplicate
        return duplicates

    line.start_relay(queue)
    line.start_worker(Actor(kind, see))
    with ThreadPoolExecutor(4) as threads:
        duplicates = sum(threads.map(ask, [25] * 4))
    unfinished = "SELECT FROM duly.jobs WHERE state <> 'succeeded'"
    wait_for("all jobs", lambda: not sql_now.execute(unfinished).rowcount)
    jobs = sql_now.execute("SELECT FROM duly.jobs").rowcount
    assert jobs + duplicates == 100
    assert duplicates > 0
    assert sql_now.execute(UNSEEN).fetchone() == (0,)
    assert sql_now.execute("SELECT FROM duly.unique_keys").rowcount == 0


def test_a_debounced_job_runs_once_with_the_newest_payload(line: Line, queue: str) -> None:
    quick = timedelta(seconds=0.3)
    kind = note_kind(queue, unique=Unique("text", debounce=quick, cap=10 * quick))
    seen: list[str] = []

    def note(payload: Note, _: Job) -> None:
        seen.append(payload.secret)

    line.start_relay(queue)
    line.start_worker(Actor(kind, note))
    jobs = {line.submit(kind(text="a", secret=str(number))) for number in range(3)}
    (job,) = jobs
    line.wait_for(job, "succeeded")
    assert seen == ["2"]


def test_a_job_of_a_unique_kind_costs_the_worker_two_statements(
    line: Line, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[str] = []
    post = GroupCommit.post

    def note(group_commit: GroupCommit, statement: str, *rest: Any) -> None:
        posted.append(statement)
        post(group_commit, statement, *rest)

    monkeypatch.setattr(GroupCommit, "post", note)
    kind = note_kind(queue, unique=Unique("text"))
    line.start_relay(queue)
    line.start_worker(Actor(kind, lambda _, __: None))
    line.wait_for(line.submit(kind(text="a")), "succeeded")
    of_the_job = [each for each in posted if "%(id)s" in each]
    assert of_the_job == [transitions.CLAIM_UNIQUE, transitions.SUCCEED]
