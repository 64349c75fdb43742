"""Processes killed around a unique job: its key is never stuck, and no submission is lost on it."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from outbox import SubmittedJob, flush_jobs, submit
from tests.faults import moments
from tests.faults.books import SYNC
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.faults.test_api_killed import post_across_a_crash
from tests.support.wait import wait_for

STARTING = [
    moment
    for moment in moments.WORKER
    if moment.name
    in (
        *("delivered but not claimed", "claim handed in but not written"),
        *("claim committed but not answered", "claimed but not begun"),
    )
]
KEYS = "SELECT job_id FROM duly.unique_keys"
UNDONE = "SELECT mark FROM entries WHERE mark <> 'done'"


@pytest.fixture(autouse=True)
def books(line: Line) -> None:
    """The app whose kind is unique."""
    line.environment["DULY_APP"] = "tests.faults.books:duly"
    line.environment["DULY_ACTORS"] = "tests.faults.books:ACTORS"


def ask(engine: Engine) -> SubmittedJob:
    """Ask for something, and for the job that does it."""
    with Session(engine) as session, session.begin():
        job = submit(session, SYNC(customer_id=1))
        flush_jobs(session)
        session.execute(text("INSERT INTO entries VALUES ('asked')"))
    return job


def assert_all_done(promises: Promises) -> None:
    """Wait until nothing moves; then all is done, and nobody holds a key."""
    wait_for("quiet", lambda: not any(promises.left().values()))
    assert promises.rows(UNDONE) == []
    assert promises.rows(KEYS) == []
    assert set(promises.rows("SELECT state FROM duly.jobs")) == {"succeeded"}


@points(moments.PEOPLE)
def test_the_api_between_flush_and_commit(
    moment: Moment, line: Line, promises: Promises, engine: Engine
) -> None:
    """PEOPLE are the moments before and after the commit of a request that has flushed."""
    body = {"kind": SYNC.name, "payload": {"customer_id": 1}}
    answer = post_across_a_crash(moment, line, "/v1/jobs", body)
    assert [str(each) for each in promises.rows(KEYS)] == [answer["id"]]
    assert str(ask(engine).id) == answer["id"]
    line.start("relay", "worker")
    assert_all_done(promises)


@points(STARTING)
def test_the_worker_between_claim_and_start(
    moment: Moment, line: Line, promises: Promises, engine: Engine
) -> None:
    first = ask(engine)
    line.start("relay")
    assert has_crashed(line.start_doomed(moment, "worker"))
    second = ask(engine)
    assert second.is_duplicate == (second.id == first.id)
    line.start("worker")
    assert_all_done(promises)
