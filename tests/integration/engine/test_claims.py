"""Jobs are claimed as threads are free, and acknowledged when they are on record."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from outbox import Actor
from outbox.worker.broker import Consumer
from outbox.worker.worker import Worker
from tests.integration.engine.gate import Gate
from tests.support.engine.by_hand import WAITING, ByHand
from tests.support.engine.line import Line, do_nothing, note_kind, prefetched
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for

STATES = "SELECT state, count(*) AS count FROM duly.jobs GROUP BY state"


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """For what a test does not wait for."""
    with ThreadPoolExecutor(1) as thread:
        yield thread


def states(by_hand: ByHand) -> dict[str, int]:
    """How many jobs are in each state."""
    return {row["state"]: row["count"] for row in by_hand.take(STATES)}


def unsettled(worker: Worker, queue: str) -> int:
    """How many messages the worker holds that it has not acknowledged."""
    consumer = worker._worker.consumers[queue].consumer
    return len(consumer.answers.unanswered) if isinstance(consumer, Consumer) else 0


def test_no_more_jobs_are_claimed_than_threads_can_begin(
    line: Line, by_hand: ByHand, queue: str
) -> None:
    kind, gate = note_kind(queue), Gate("a")
    jobs = [line.submit(kind(text="a")) for _ in range(6)]
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, gate), threads=2)
    wait_for("two to begin", lambda: len(gate.came) == 2)
    wait_for("two to wait in the worker", lambda: prefetched(worker) == 2)
    assert states(by_hand) == {"running": 2, "queued": 4}
    gate.open()
    for job in jobs:
        line.wait_for(job, "succeeded")


def test_a_message_is_acknowledged_when_its_success_is_on_record_and_no_sooner(
    line: Line, rabbit: Rabbit, by_hand: ByHand, other_hand: ByHand, queue: str
) -> None:
    kind, gate = note_kind(queue), Gate("a")
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, gate), threads=1)
    job = line.submit(kind(text="a"))
    wait_for("it to begin", lambda: gate.came)
    with other_hand.connection.transaction():
        other_hand.take("LOCK TABLE duly.jobs IN SHARE MODE")
        gate.open()
        wait_for("the record to wait", lambda: by_hand.take(WAITING))
        assert unsettled(worker, queue) == 1
    line.wait_for(job, "succeeded")
    wait_for("the acknowledgement", lambda: unsettled(worker, queue) == 0)
    line.stop()
    assert rabbit.depth(queue) == 0


def test_a_job_claimed_but_not_begun_is_handed_back_at_once_by_a_worker_that_stops(
    line: Line, queue: str, aside: ThreadPoolExecutor
) -> None:
    """It does not wait for another that runs on within the grace period."""
    kind, gate = note_kind(queue), Gate("a")
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, gate), threads=2)
    running = line.submit(kind(text="a"))
    wait_for("one to begin", lambda: gate.came)
    for thread in worker._worker.workers:
        thread.stop()
    worker._threads.queue._claimed.put(None)  # the idle one waits for a job, however long
    wait_for("the other thread to end", lambda: _living(worker) == 1)
    job = line.submit(kind(text="b"))
    line.wait_for(job, "running")
    stopped = aside.submit(line.stop_worker, worker)
    line.wait_for(job, "queued")
    assert (line.job(job).attempt, line.attempts(job)) == (0, [])
    assert line.job(running).state == "running"
    gate.open()
    stopped.result(20)
    assert line.job(running).state == "succeeded"
    line.start_worker(Actor(kind, do_nothing))
    assert line.wait_for(job, "succeeded").attempt == 1


def _living(worker: Worker) -> int:
    return sum(thread.is_alive() for thread in worker._worker.workers)
