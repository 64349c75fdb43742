"""A message runs its job only where it is the job's current dispatch, and only once."""

import threading

from outbox import Actor, Job
from outbox.amqp import messages
from outbox.amqp.messages import Dispatch
from tests.integration.engine.gate import Gate
from tests.support.engine.line import Line, Note, note_kind
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for


def test_a_duplicate_of_a_running_job_is_dropped(line: Line, rabbit: Rabbit, queue: str) -> None:
    kind, gate = note_kind(queue), Gate("a")
    job = line.submit(kind(text="a"))
    line.start_relay(queue)
    line.start_worker(Actor(kind, gate))
    wait_for("the job to run", lambda: gate.came)
    for _ in range(3):
        rabbit.publish(queue, messages.encode(Dispatch(str(job), 1, kind.name, queue)))
    after = line.submit(kind(text="after"))
    line.wait_for(after, "succeeded")
    gate.open()
    line.wait_for(job, "succeeded")
    line.stop()
    assert gate.came == ["a", "after"]
    assert rabbit.depth(queue) == 0


def test_messages_of_ended_jobs_and_of_earlier_dispatches_are_dropped(
    line: Line, rabbit: Rabbit, queue: str
) -> None:
    came = []

    def do(note: Note, job: Job) -> None:
        came.append((note.text, job.dispatch))
        if note.text == "a" and job.attempt == 1:
            raise ValueError("once more")

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do), threads=1)
    job = line.submit(kind(text="a"))
    line.wait_for(job, "succeeded")
    for dispatch in (1, 2, 3):
        rabbit.publish(queue, messages.encode(Dispatch(str(job), dispatch, kind.name, queue)))
    line.wait_for(line.submit(kind(text="after")), "succeeded")
    line.stop()
    assert came == [("a", 1), ("a", 2), ("after", 1)]
    assert (rabbit.depth(queue), line.letters()) == (0, [])


def test_the_next_dispatch_may_arrive_before_the_last_attempt_has_left(
    line: Line, queue: str
) -> None:
    """Its retry has committed, but the thread that wrote it goes on only afterwards."""

    def do(note: Note, job: Job) -> None:
        if job.attempt == 1:
            raise ValueError("once more")
        succeeding.set()

    kind, succeeding = note_kind(queue), threading.Event()
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    wake_up = worker._group_commit.wake_up

    def linger() -> None:
        assert succeeding.wait(10)
        wake_up()

    worker._group_commit.wake_up = linger  # type: ignore[method-assign]
    line.wait_for(line.submit(kind()), "succeeded")
