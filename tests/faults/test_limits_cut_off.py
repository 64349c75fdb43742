"""A worker that is cut off from both servers while it runs a job of a key with a limit."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Kind, submit
from tests.faults.keyed import BEAT, BEAT_AS_TASK
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.faults.test_networks_fail import broker as broker
from tests.faults.test_networks_fail import postgres as postgres
from tests.support.engine.keyed import sampled
from tests.support.network.proxy import Proxy
from tests.support.outside.receiver import status
from tests.support.wait import wait_for

BEATS = 30


@pytest.fixture
def two_jobs(line: Line, engine: Engine, kind: Kind[..., Any]) -> None:
    """Two jobs of a key that bears one at a time."""
    line.environment["DULY_ACTORS"] = "tests.faults.keyed:ACTORS"
    with Session(engine) as session, session.begin():
        for number in range(2):
            submit(session, kind(key="a", number=number))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [BEAT, BEAT_AS_TASK], ids=["def", "async def"])
def test_its_job_has_stopped_before_the_next_one_begins(
    two_jobs: None,
    line: Line,
    promises: Promises,
    postgres: Proxy,
    broker: Proxy,
    database_url: str,
    amqp_url: str,
) -> None:
    """Half open: nothing passes on the connections that there are, and neither end is told."""
    (cut_off,) = line.start("worker")
    line.environment |= {"DATABASE_URL": database_url, "AMQP_URL": amqp_url}
    line.start("relay")
    with sampled(database_url) as most_running:
        wait_for("the job runs", lambda: len(line.receiver.deliveries) >= BEATS)
        line.start("worker")
        wait_for(
            "the other worker", lambda: len(promises.rows("SELECT name FROM duly.workers")) == 2
        )
        postgres.swallow()
        broker.swallow()
        wait_for("it runs elsewhere", lambda: len(list(runs(line))) >= 2)
        beats = len(line.receiver.deliveries)
        wait_for("on and on", lambda: len(line.receiver.deliveries) >= beats + BEATS)
        assert len(list(runs(line))) == 2
        assert "Postgres has not answered a heartbeat for long" in cut_off.log
        line.receiver.answer = status(200)
        postgres.cut_swallowed()
        broker.cut_swallowed()
        wait_for("quiet", lambda: not any(promises.left().values()))
    assert promises.rows("SELECT state FROM duly.jobs") == ["succeeded"] * 2
    assert most_running == {"a": 1}


def runs(line: Line) -> Iterator[bytes]:
    """Who does it, one worker after the other."""
    return (worker for worker, _ in groupby(each.body for each in line.receiver.deliveries))
