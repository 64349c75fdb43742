"""How far a job is: written now and then, and shown with an estimate."""

import threading

from outbox import Actor, Job
from tests.support.engine.line import Line, Note, note_kind
from tests.support.wait import wait_for


def test_progress_is_shown_while_the_job_runs_and_the_last_of_it_at_the_end(
    line: Line, queue: str
) -> None:
    go_on = threading.Event()

    def do(_note: Note, job: Job) -> None:
        for done in range(1000):
            job.progress(done, 2000, "reading")
        assert go_on.wait(20)
        job.progress(2000, 2000)

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    shown = wait_for("progress", lambda: line.job(job).progress)
    assert (shown.done, shown.total, shown.note, shown.attempt) == (999, 2000, "reading", 1)
    go_on.set()
    last = line.wait_for(job, "succeeded").progress
    assert last
    assert (last.done, last.total, last.note) == (2000, 2000, None)
    assert last.at > shown.at
