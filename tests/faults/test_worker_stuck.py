"""A worker that is told to stop, or whose actor does not end."""

import pytest

from tests.faults.actors import AWAIT, FREEZE, HOLD, SLEEP
from tests.faults.clients import Clients
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.support.outside.arrivals import Gate
from tests.support.wait import wait_for

OUTCOMES = "SELECT outcome FROM duly.attempts ORDER BY job_id, attempt"
SPENT = "SELECT DISTINCT attempt FROM duly.jobs"


@pytest.mark.slow
def test_told_to_stop_it_finishes_what_runs(
    line: Line, clients: Clients, promises: Promises
) -> None:
    line.receiver.answer = gate = Gate()
    clients.submit(HOLD, AWAIT)
    _, worker = line.start("relay", "worker")
    wait_for("jobs run", lambda: len(line.receiver.deliveries) == 2)
    worker.terminate()
    wait_for("it stops", lambda: "worker stopping" in worker.log)
    gate.open()
    assert worker.wait() == 0
    promises.assert_kept()
    assert len(line.receiver.deliveries) == 2


@pytest.mark.slow
def test_told_to_stop_it_gives_back_what_outlasts_its_grace(
    line: Line, clients: Clients, promises: Promises
) -> None:
    line.receiver.answer = gate = Gate()
    clients.submit(HOLD, AWAIT)
    line.start("relay")
    worker = line.start_impatient("worker")
    wait_for("jobs run", lambda: len(line.receiver.deliveries) == 2)
    worker.terminate()
    assert worker.wait() == 0
    gate.open()
    line.start("worker")
    promises.assert_kept()
    assert promises.rows(SPENT) == [1]


@pytest.mark.slow
def test_stuck_in_c_it_is_replaced_until_the_job_is_dead(
    line: Line, clients: Clients, promises: Promises
) -> None:
    clients.submit(SLEEP)
    line.start("relay")
    for _ in range(2):
        worker = line.start_impatient("worker")
        assert worker.wait() == 1
        assert "stuck past its time limit" in worker.log
        assert "time.sleep(3600)" in worker.log
    line.start_impatient("worker")
    clients.submit_mix()
    promises.assert_kept()
    assert promises.rows(OUTCOMES)[:2] == ["timed_out", "timed_out"]


@pytest.mark.slow
def test_frozen_it_ends_itself_until_the_job_is_dead(
    line: Line, clients: Clients, promises: Promises
) -> None:
    clients.submit(FREEZE)
    line.start("relay")
    for _ in range(2):
        worker = line.start_impatient("worker")
        assert worker.wait() == 1
        assert "in freeze" in worker.log
    line.start_impatient("worker")
    clients.submit_mix()
    promises.assert_kept()
    assert promises.rows(OUTCOMES)[:2] == ["crashed", "crashed"]
