"""Workers killed in the midst of a long job, and as a running one is cancelled."""

import pytest

from outbox import Kind
from tests.faults import moments
from tests.faults.actors import (
    COPIED,
    COPY,
    COPY_AS_TASK,
    LINGER,
    LINGER_AS_TASK,
    Marked,
)
from tests.faults.clients import Accepted, Clients
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.support.wait import wait_for

KILLS = 4
SORTS = ["thread", "task"]
ROWS = "SELECT count(*), count(DISTINCT number), min(number), max(number) FROM copied"
RUNNING = "SELECT worker FROM duly.jobs WHERE state = 'running'"


def checkpoint(promises: Promises) -> int:
    """How many rows the job has behind it."""
    (found,) = promises.rows("SELECT coalesce(checkpoint::int, 0) FROM duly.jobs")
    return int(found)


def assert_copied(promises: Promises) -> None:
    """No row is doubled, and none is missing."""
    promises.assert_kept()
    assert promises.rows(ROWS) == [(COPIED, COPIED, 1, COPIED)]


@pytest.mark.slow
def test_a_million_rows_whose_worker_is_killed_again_and_again(
    line: Line, clients: Clients, promises: Promises
) -> None:
    clients.submit(COPY)
    line.start("relay")
    for _ in range(KILLS):
        (worker,) = line.start("worker")
        _wait_for_steps(promises)
        worker.kill()
    line.start("worker")
    assert_copied(promises)
    assert promises.rows("SELECT attempt > 2 FROM duly.jobs") == [True]


def _wait_for_steps(promises: Promises) -> None:
    before = checkpoint(promises)
    wait_for("some steps", lambda: checkpoint(promises) > before)


@pytest.mark.parametrize("kind", [COPY, COPY_AS_TASK], ids=SORTS)
@points(moments.STEPPING)
def test_as_it_takes_a_step(
    moment: Moment, kind: Kind[..., Marked], line: Line, clients: Clients, promises: Promises
) -> None:
    clients.submit(kind)
    line.start("relay")
    assert has_crashed(line.start_doomed(moment, "worker"))
    line.start("worker")
    assert_copied(promises)


def cancel(line: Line, job: Accepted) -> None:
    """Ask a running job to end."""
    (answer,) = line.duly_json("jobs", "cancel", str(job.job))
    assert answer["outcome"] == "asked"
    job.end = "cancelled"


@pytest.mark.parametrize("kind", [LINGER, LINGER_AS_TASK], ids=SORTS)
@points(moments.CANCELLED)
def test_as_a_running_job_is_cancelled(
    moment: Moment, kind: Kind[..., Marked], line: Line, clients: Clients, promises: Promises
) -> None:
    (job,) = clients.submit(kind)
    line.start("relay")
    worker = line.start_doomed(moment, "worker")
    wait_for("it runs", lambda: promises.rows(RUNNING))
    cancel(line, job)
    assert has_crashed(worker)
    line.start("worker")
    promises.assert_kept()
    assert promises.booked() == 0


def assert_whole_steps(promises: Promises) -> None:
    """The rows are those before the checkpoint, each once."""
    promises.assert_kept()
    reached = checkpoint(promises)
    assert promises.rows(ROWS) == [(reached, reached, 1, reached)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [COPY, COPY_AS_TASK], ids=SORTS)
def test_a_copy_that_is_cancelled_keeps_its_whole_steps(
    kind: Kind[..., Marked], line: Line, clients: Clients, promises: Promises
) -> None:
    (job,) = clients.submit(kind)
    line.start("relay", "worker")
    wait_for("some steps", lambda: checkpoint(promises))
    cancel(line, job)
    assert_whole_steps(promises)


@pytest.mark.parametrize("kind", [COPY, COPY_AS_TASK], ids=SORTS)
@points(moments.CANCELLED)
def test_as_a_copy_is_cancelled(
    moment: Moment, kind: Kind[..., Marked], line: Line, clients: Clients, promises: Promises
) -> None:
    (job,) = clients.submit(kind)
    line.start("relay")
    worker = line.start_doomed(moment, "worker")
    wait_for("some steps", lambda: checkpoint(promises))
    cancel(line, job)
    assert has_crashed(worker)
    line.start("worker")
    assert_whole_steps(promises)
