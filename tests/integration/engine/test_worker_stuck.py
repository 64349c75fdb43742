"""Which attempts a worker takes for stuck."""

import threading
from collections.abc import Iterator
from datetime import timedelta

from outbox import Actor, Job
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, Note, note_kind
from tests.support.wait import wait_for

SHORT = timedelta(milliseconds=50)
WAITING_LONG = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
  AND clock_timestamp() - query_start > interval '0.3 s'
"""


def test_code_of_the_actors_that_runs_after_it_has_failed_is_seen(line: Line, queue: str) -> None:
    """Its generators are closed when its frames are cleared."""
    go_on = threading.Event()

    def held() -> Iterator[None]:
        try:
            yield
        finally:
            go_on.wait(30)

    def do(note: Note, job: Job) -> None:
        if job.attempt == 1:
            generator = held()
            next(generator)
            raise ValueError

    kind = note_kind(queue, time_limit=SHORT)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    (stuck,) = wait_for("a stuck attempt", lambda: worker.stuck(timedelta()))
    assert stuck.attempt.job.id == job
    assert stuck.run
    assert "go_on.wait" in stuck.run.where()
    go_on.set()
    line.wait_for(job, "succeeded")


def test_an_attempt_that_waits_for_postgres_is_not_stuck(
    line: Line, queue: str, by_hand: ByHand, other_hand: ByHand
) -> None:
    locked = threading.Event()

    def do(note: Note, job: Job) -> None:
        locked.wait(30)

    kind = note_kind(queue, time_limit=SHORT)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    line.wait_for(job, "running")
    with other_hand.connection.transaction():
        other_hand.take("LOCK TABLE duly.jobs")
        locked.set()
        wait_for("the record to wait", lambda: by_hand.take(WAITING_LONG))
        assert worker.stuck(timedelta()) == []
    wait_for("the record", lambda: line.job(job).state != "running")
