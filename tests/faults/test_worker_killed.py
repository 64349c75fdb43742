"""The worker killed at each moment of a job, and as it stops; then another is started."""

from tests.faults import moments
from tests.faults.actors import AWAIT, HOLD
from tests.faults.clients import Clients
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.support.outside.arrivals import Gate
from tests.support.wait import wait_for


@points(moments.WORKER, "effect elsewhere but not recorded", "succeeded but not committed")
def test_as_it_works(moment: Moment, line: Line, clients: Clients, promises: Promises) -> None:
    clients.submit_mix()
    line.start("relay")
    assert has_crashed(line.start_doomed(moment, "worker"))
    line.start("worker")
    promises.assert_kept()


def test_with_a_hundred_tasks_in_flight(line: Line, clients: Clients, promises: Promises) -> None:
    line.receiver.answer = gate = Gate()
    clients.submit(*[AWAIT] * 100)
    _, worker = line.start("relay", "worker")
    wait_for("all run", lambda: len(line.receiver.deliveries) == 100)
    worker.kill()
    gate.open()
    line.start("worker")
    promises.assert_kept()


@points(moments.STOPPING)
def test_as_it_stops(moment: Moment, line: Line, clients: Clients, promises: Promises) -> None:
    line.receiver.answer = gate = Gate()
    clients.submit(HOLD, AWAIT)
    clients.submit_mix()
    line.start("relay")
    worker = line.start_doomed(moment, "worker")
    wait_for("jobs run", lambda: len(line.receiver.deliveries) >= 2)
    worker.terminate()
    assert has_crashed(worker)
    gate.open()
    line.start("worker")
    promises.assert_kept()
