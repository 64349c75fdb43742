"""A graph of batches, with relay or worker killed at each moment: nothing is lost or doubled."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import batch, submit
from tests.faults import moments
from tests.faults.graph import IMPORT, SPLIT, STEPS
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.support.wait import wait_for

CALLBACKS = "SELECT generation, name FROM duly.batch_callbacks"
OPEN = "SELECT id FROM duly.batches WHERE settled_at IS NULL"
ENDING = [
    moment
    for moment in moments.WORKER
    if moment.name
    in (
        *("effect written but not succeeded", "succeeded but not committed"),
        *("done but not handed in", "succeeded but not acknowledged"),
    )
]


@pytest.fixture
def graph(line: Line, engine: Engine) -> None:
    """The import, and what is to follow, on their way."""
    line.environment["DULY_ACTORS"] = "tests.faults.graph:ACTORS"
    with (
        Session(engine) as session,
        session.begin(),
        batch(session, on_success=SPLIT(file="a")),
    ):
        submit(session, IMPORT(file="a"))


def wait_for_steps(promises: Promises, count: int) -> None:
    """Wait until so many are booked."""
    wait_for("some steps", lambda: promises.booked() >= count)


def assert_done(promises: Promises) -> None:
    """Wait for the last step; then each has happened once."""
    wait_for("the mail", lambda: "mail" in promises.rows("SELECT mark FROM entries"))
    wait_for("quiet", lambda: not any(promises.left().values()))
    assert sorted(promises.rows("SELECT mark FROM entries")) == sorted(STEPS)
    assert promises.rows(CALLBACKS) == [(1, "on_success")] * 2
    assert promises.rows(OPEN) == []


@points(moments.FOLDING)
def test_the_relay(graph: None, moment: Moment, line: Line, promises: Promises) -> None:
    line.start("worker")
    assert has_crashed(line.start_doomed(moment, "relay"))
    line.start("relay")
    assert_done(promises)


@points(ENDING)
def test_the_worker(graph: None, moment: Moment, line: Line, promises: Promises) -> None:
    line.start("relay")
    assert has_crashed(line.start_doomed(moment, "worker"))
    line.start("worker")
    assert_done(promises)


@pytest.mark.slow
def test_everything_again_and_again(graph: None, line: Line, promises: Promises) -> None:
    for steps in (1, 3, 12):
        processes = line.start("relay", "worker", "relay", "worker")
        wait_for_steps(promises, steps)
        for process in processes:
            process.kill()
    line.start("relay", "worker")
    assert_done(promises)
