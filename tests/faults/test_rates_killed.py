"""Jobs of a key with a rate, with a worker killed: none is lost, and one permit is, at most."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import submit
from tests.faults import moments
from tests.faults.keyed import BOOK_RATED
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.faults.test_keys_killed import wait_for_bookings
from tests.support.wait import wait_for

JOBS = 20
IN_FLIGHT = 16
"""The threads of the worker that is killed."""
CLAIMING = [each for each in moments.WORKER if "claim" in each.name]
SPENT = "SELECT round(extract(epoch FROM tat - now()) / 3600)::int FROM duly.key_clocks"
"""Each permit moves the clock by an hour."""
ATTEMPTS = "SELECT sum(attempt)::int FROM duly.jobs"


@pytest.fixture
def submitted(line: Line, engine: Engine) -> None:
    """Jobs on their way."""
    line.environment["DULY_ACTORS"] = "tests.faults.keyed:ACTORS"
    with Session(engine) as session, session.begin():
        for number in range(JOBS):
            submit(session, BOOK_RATED(key="a", number=number))


@pytest.mark.usefixtures("submitted")
@points(CLAIMING)
def test_the_worker(moment: Moment, line: Line, promises: Promises) -> None:
    line.start("relay")
    assert has_crashed(line.start_doomed(moment, "worker"))
    line.start("worker")
    wait_for_bookings(promises, JOBS)
    wait_for("quiet", lambda: not any(promises.left().values()))
    (spent,), (attempts,) = promises.rows(SPENT), promises.rows(ATTEMPTS)
    assert spent == attempts, "each start takes one permit, whatever became of it"
    assert spent <= JOBS + IN_FLIGHT
    booked = promises.rows("SELECT mark FROM entries")
    assert sorted(booked) == sorted(f"a {number}" for number in range(JOBS))
