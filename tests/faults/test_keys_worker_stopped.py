"""A worker that the operating system has stopped, with messages of jobs with keys in its hands."""

import os
import signal

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from dev.wait import wait_until
from outbox import submit_all
from tests.faults.keyed import SHARE
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.support.wait import wait_for

SOON = 8.0
"""Less than a worker is silent for before its jobs are rescued."""


@pytest.mark.slow
def test_the_others_go_on(line: Line, promises: Promises, engine: Engine) -> None:
    line.environment["DULY_ACTORS"] = "tests.faults.keyed:ACTORS"
    line.start("relay")
    stopped, _ = line.start("worker") + line.start("worker")
    with Session(engine) as session, session.begin():
        submit_all(session, [SHARE(key=f"k{n % 1000}", number=n) for n in range(2000)])
    wait_for("both work", lambda: promises.booked() >= 50)
    os.kill(stopped.pid, signal.SIGSTOP)
    try:
        booked = promises.booked()
        assert wait_until(lambda: promises.booked() >= booked + 200, SOON), promises.booked()
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    wait_for("quiet", lambda: not any(promises.left().values()))
    assert promises.rows("SELECT DISTINCT state FROM duly.jobs") == ["succeeded"]
    assert promises.booked() == 2000
