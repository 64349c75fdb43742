"""A worker that ends in the middle of its jobs, by SIGKILL or SIGTERM."""

from actors import ACTORS
from tests.support.outside.arrivals import Gate, webhook_ids
from tests.support.service.line import Line
from tests.support.wait import wait_for

AT_ONCE = 14
"""So many webhooks run at once, each of an endpoint of its own."""
OTHERS = len({each.kind.queue for each in ACTORS.values() if each.is_async}) - 1
"""Queues that keep one of the worker's tasks each."""
TASKS = ("--tasks", str(AT_ONCE + OTHERS))


def test_the_jobs_of_a_killed_worker_are_rescued_under_their_ids(line: Line) -> None:
    line.environment["DULY_WORKER_SILENCE"] = "PT3S"
    line.start("api", "relay")
    worker = line.start_worker(*TASKS)
    line.receiver.answer = gate = Gate()
    job_ids = _submit(line, 30)
    worker.kill()
    running = webhook_ids(line.receiver.deliveries)
    gate.open()
    line.start("worker")
    line.wait_for_state("succeeded", job_ids)

    assert sorted(webhook_ids(line.receiver.deliveries)) == sorted(job_ids + running)
    for job_id in job_ids:
        crashed = ["crashed"] if job_id in running else []
        assert line.outcomes(job_id) == [*crashed, "succeeded"]


def test_a_worker_told_to_stop_hands_the_rest_over_and_finishes_its_jobs(line: Line) -> None:
    line.start("api", "relay")
    worker = line.start_worker(*TASKS)
    line.receiver.answer = gate = Gate()
    job_ids = _submit(line, 2 * AT_ONCE)
    worker.terminate()
    line.start("worker")
    wait_for("the rest runs too", lambda: len(line.receiver.deliveries) == 2 * AT_ONCE)
    gate.open()
    assert worker.wait() == 0
    line.wait_for_state("succeeded", job_ids)

    assert sorted(webhook_ids(line.receiver.deliveries)) == sorted(job_ids)
    assert [line.outcomes(job_id) for job_id in job_ids] == [["succeeded"]] * len(job_ids)


def _submit(line: Line, count: int) -> list[str]:
    """The ids of new jobs, of which as many run as the worker has tasks."""
    job_ids = [line.submit_webhook(line.listen()) for _ in range(count)]
    wait_for("all tasks are busy", lambda: len(line.receiver.deliveries) == AT_ONCE)
    return job_ids
