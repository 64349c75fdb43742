"""Steps, progress and cancels in an app's own tests."""

import time

import psycopg
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Actor, Job, Kind, submit
from outbox.operations import jobs
from outbox.testing import drain, run
from tests.integration.testing.parts import INSERT, TABLE, Note

LONG = Kind("note.long", Note)


def take_steps(note: Note, job: Job) -> int:
    """Write the note twice, in two steps."""
    for number in range(job.checkpoint or 0, 2):
        with job.step(number + 1) as tx:
            tx.execute(INSERT, {"text": f"{note.text} {number}"})
        job.progress(number + 1, 2)
    return int(job.checkpoint)


def test_run_takes_steps_in_the_tests_own_transaction(
    session: Session, sql_now: psycopg.Connection
) -> None:
    sql_now.execute(TABLE)
    assert run(Actor(LONG, take_steps), Note(text="tea"), session) == 2
    (job,) = jobs.find(session, jobs.JobFilter())
    assert job.progress
    assert (job.progress.done, job.progress.total) == (2, 2)
    assert sql_now.execute("SELECT FROM notes").fetchall() == []


def test_drain_takes_steps_and_keeps_the_last_report(
    engine: Engine, sql_now: psycopg.Connection
) -> None:
    sql_now.execute(TABLE)
    with Session(engine) as session, session.begin():
        submit(session, LONG(text="tea"))
    (job,) = drain([Actor(LONG, take_steps)], engine)
    assert (job.state, job.result) == ("succeeded", 2)
    assert job.progress
    assert job.progress.done == 2
    assert sql_now.execute("SELECT * FROM notes").fetchall() == [("tea 0",), ("tea 1",)]


def test_drain_interrupts_a_job_that_is_cancelled(engine: Engine) -> None:
    def cancel_it(_note: Note, job: Job) -> None:
        with Session(engine) as session, session.begin():
            jobs.cancel(session, job.id, by="test")
        while True:
            time.sleep(0.01)

    with Session(engine) as session, session.begin():
        submit(session, LONG(text="tea"))
    (job,) = drain([Actor(LONG, cancel_it)], engine)
    assert job.state == "cancelled"
