"""Postgres goes back in time under a live worker, as a promoted standby or a backup has it."""

import threading
import time
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from outbox import Actor, Job
from outbox.worker.ownership import Ownership
from tests.integration.engine.gate import Gate
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, Note, note_kind
from tests.support.wait import wait_for

RUNNING_AGAIN = """
UPDATE duly.jobs SET state = 'running', finished_at = NULL, result = NULL WHERE id = %(job)s
"""
NOT_CLAIMED_YET = """
WITH job AS (
    UPDATE duly.jobs
    SET state = 'queued', attempt = 0, worker = NULL, started_at = NULL, dispatch = %(dispatch)s
    WHERE id = %(job)s
    RETURNING *
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
SELECT id, dispatch, kind, queue, priority, now() FROM job
"""


class Looks:
    """Counts how often a worker compares."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        look = Ownership._compare

        def count(of: Ownership) -> None:
            look(of)
            self.count += 1

        monkeypatch.setattr(Ownership, "_compare", count)

    def wait_for(self, more: int) -> None:
        """Until it has compared so many times more."""
        enough = self.count + more
        wait_for("some looks", lambda: self.count >= enough)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """How often the test's workers have compared."""
    return Looks(monkeypatch)


class Endless:
    """An actor that never ends its first run by itself."""

    def __init__(self) -> None:
        self.began: list[int] = []
        self.ended: list[int] = []

    def __call__(self, _note: Note, _job: Job) -> None:
        run = len(self.began)
        self.began.append(run)
        try:
            while run == 0:
                time.sleep(0.01)
        finally:
            self.ended.append(run)


def test_a_job_that_has_ended_and_runs_again_in_postgres_is_handed_back_and_done(
    line: Line, by_hand: ByHand, queue: str
) -> None:
    kind, gate = note_kind(queue), Gate()
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, gate))
    job = line.wait_for(line.submit(kind()), "succeeded")
    by_hand.take(RUNNING_AGAIN, job=job.id)
    again = wait_for("another run", lambda: (now := line.job(job.id)).dispatch == 2 and now)
    again = line.wait_for(job.id, "succeeded")
    assert (again.attempt, again.dispatch, len(gate.came)) == (1, 2, 2)
    assert line.attempts(job.id) == []
    assert worker.is_whole


@pytest.mark.parametrize("dispatch", [1, 2])
def test_a_run_of_a_job_that_waits_in_postgres_is_interrupted_and_the_job_done_once(
    line: Line, by_hand: ByHand, queue: str, dispatch: int
) -> None:
    kind, actor = note_kind(queue), Endless()
    line.start_relay(queue, patience=timedelta(seconds=0.1))
    line.start_worker(Actor(kind, actor))
    job = line.submit(kind())
    wait_for("the job to run", lambda: actor.began)
    with capture_logs() as logs:
        by_hand.take("DELETE FROM duly.outbox_events")
        by_hand.take(NOT_CLAIMED_YET, job=job, dispatch=dispatch)
        wait_for("the end of that run", lambda: 0 in actor.ended)
    assert "interrupted" in [each["event"] for each in logs]
    assert line.wait_for(job, "succeeded").attempt == 1
    assert sorted(actor.ended) == [0, 1]
    assert line.attempts(job) == []


def test_a_job_that_another_worker_has_in_postgres_is_interrupted_here(
    line: Line, by_hand: ByHand, queue: str
) -> None:
    kind, actor = note_kind(queue), Endless()
    line.start_relay(queue)
    line.start_worker(Actor(kind, actor))
    job = line.submit(kind())
    wait_for("the job to run", lambda: actor.began)
    by_hand.beat("another")
    by_hand.take("UPDATE duly.jobs SET worker = 'another' WHERE id = %(job)s", job=job)
    wait_for("the end of that run", lambda: actor.ended)
    assert (line.job(job).state, line.attempts(job)) == ("running", [])


def test_a_job_that_both_know_is_left_alone(line: Line, queue: str, looks: Looks) -> None:
    kind, gate = note_kind(queue), Gate("a")
    line.start_relay(queue)
    line.start_worker(Actor(kind, gate))
    job = line.submit(kind(text="a"))
    wait_for("the job to run", lambda: gate.came)
    looks.wait_for(4)
    gate.open()
    done = line.wait_for(job, "succeeded")
    assert (done.attempt, done.dispatch, gate.came) == (1, 1, ["a"])


def test_an_actor_that_goes_on_after_its_transaction_is_not_interrupted(
    line: Line, queue: str, looks: Looks
) -> None:
    go_on, ended = threading.Event(), threading.Event()

    def do(note: Note, job: Job) -> None:
        with job.transaction():
            pass
        while not go_on.is_set():
            time.sleep(0.01)
        ended.set()

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    line.wait_for(line.submit(kind()), "succeeded")
    looks.wait_for(4)
    go_on.set()
    assert ended.wait(10)
