"""Jobs of unique kinds, from their submission to their end, by real relays and workers."""

from outbox import Actor, Job, Unique
from tests.support.engine.line import Line, Note, note_kind


def test_what_is_submitted_before_the_job_starts_is_that_job(line: Line, queue: str) -> None:
    kind = note_kind(queue, unique=Unique("text"))
    ran = []

    def note(payload: Note, job: Job) -> None:
        ran.append(str(job.id))

    first = line.submit(kind(text="a"))
    assert line.submit(kind(text="a")) == first
    other = line.submit(kind(text="b"))
    line.start_relay(queue)
    line.start_worker(Actor(kind, note))
    line.wait_for(first, "succeeded")
    line.wait_for(other, "succeeded")
    later = line.submit(kind(text="a"))
    line.wait_for(later, "succeeded")
    assert sorted(ran) == sorted(map(str, (first, other, later)))
