"""Jobs of ordered keys, with relay or worker killed: one at a time, in order, and each once."""

from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import submit
from tests.faults import moments
from tests.faults.actors import QUEUE
from tests.faults.keyed import BOOK_NEXT
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.faults.test_batches_killed import ENDING
from tests.support.engine.keyed import sampled
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for

BOOKED = "SELECT mark FROM entries ORDER BY ctid"
CLAIMING = [each for each in moments.WORKER if "claim" in each.name]


@pytest.fixture
def most_running(line: Line, engine: Engine, database_url: str) -> Iterator[Counter[str]]:
    """Ten jobs of each of two keys on their way; how many of a key ran at once at most."""
    line.environment["DULY_ACTORS"] = "tests.faults.keyed:ACTORS"
    with Session(engine) as session, session.begin():
        for number in range(10):
            for key in "ab":
                submit(session, BOOK_NEXT(key=key, number=number))
    with sampled(database_url) as most:
        yield most


def wait_for_bookings(promises: Promises, count: int) -> None:
    """Wait until so many are booked."""
    wait_for("some booked", lambda: promises.booked() >= count)


def assert_done(promises: Promises, most_running: Counter[str]) -> None:
    """Wait until all are booked; then each was booked once, in order, and alone."""
    wait_for_bookings(promises, 20)
    wait_for("quiet", lambda: not any(promises.left().values()))
    booked = promises.rows(BOOKED)
    for key in "ab":
        assert [mark for mark in booked if mark[0] == key] == [f"{key} {n}" for n in range(10)]
    assert most_running == {"a": 1, "b": 1}


@points(moments.ADMITTING)
def test_the_relay(
    most_running: Counter[str], moment: Moment, line: Line, promises: Promises
) -> None:
    line.start("worker")
    assert has_crashed(line.start_doomed(moment, "relay"))
    line.start("relay")
    assert_done(promises, most_running)


@points(CLAIMING + ENDING)
def test_the_worker(
    most_running: Counter[str], moment: Moment, line: Line, promises: Promises
) -> None:
    line.start("relay")
    assert has_crashed(line.start_doomed(moment, "worker"))
    line.start("worker")
    assert_done(promises, most_running)


@pytest.mark.slow
def test_two_of_each_again_and_again(
    most_running: Counter[str], line: Line, promises: Promises
) -> None:
    for booked in (1, 5, 12):
        processes = line.start("relay", "worker", "relay", "worker")
        wait_for_bookings(promises, booked)
        for process in processes:
            process.kill()
    line.start("relay", "worker")
    assert_done(promises, most_running)


@pytest.mark.slow
def test_a_wiped_broker(
    most_running: Counter[str], line: Line, promises: Promises, rabbit: Rabbit
) -> None:
    (relay,) = line.start("relay")
    held = "SELECT key FROM duly.key_holders"
    published = "SELECT queue FROM duly.publications"
    wait_for("published jobs", lambda: len(promises.rows(held)) == 2 and promises.rows(published))
    relay.kill()
    assert len(rabbit.take(QUEUE)) == 2
    line.start("relay", "worker")
    assert_done(promises, most_running)
