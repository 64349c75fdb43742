"""A thread of the worker, or a duty of the relay, that dies of a bug: the process ends with it."""

import pytest

from tests.faults import moments
from tests.faults.actors import FLAKY, HOLD
from tests.faults.clients import Clients
from tests.faults.line import Line
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.support.outside.arrivals import Gate
from tests.support.wait import wait_for


@points(moments.THREADS)
def test_a_worker_short_of_a_thread_makes_room_for_another(
    moment: Moment, line: Line, clients: Clients, promises: Promises
) -> None:
    clients.submit_mix()
    line.start("relay")
    assert line.start_doomed(moment, "worker").wait() == 1
    line.start_impatient("worker")
    promises.assert_kept()


@pytest.mark.slow
def test_a_worker_without_a_ledger_stops_though_a_job_runs(
    line: Line, clients: Clients, promises: Promises
) -> None:
    line.receiver.answer = gate = Gate()
    clients.submit(HOLD)
    line.start("relay")
    worker = line.start_doomed(moments.named("group commit as it wakes relays"), "worker")
    wait_for("it runs", lambda: len(line.receiver.deliveries) == 1)
    clients.submit(FLAKY)
    assert worker.wait() == 1
    assert "in hand_back" not in worker.log  # where the watchdog would have found it
    gate.open()
    line.start_impatient("worker")
    promises.assert_kept()


@points(moments.DUTIES)
def test_a_relay_that_fails_in_one_duty_makes_room_for_another(
    moment: Moment, line: Line, clients: Clients, promises: Promises
) -> None:
    clients.submit_mix()
    line.start("worker")
    assert line.start_doomed(moment, "relay").wait() == 1
    line.start("relay")
    promises.assert_kept()
