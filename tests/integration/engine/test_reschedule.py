"""Jobs that a person gives another time, priority or queue, in the whole line."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from outbox import Actor, Job, Priority, events
from outbox.operations.reschedule import reschedule
from tests.support.engine.line import Line, Note, do_nothing, note_kind
from tests.support.engine.rabbit import Rabbit

LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def heard() -> Iterator[list[events.Rescheduled]]:
    """The news of jobs that were rescheduled."""
    found: list[events.Rescheduled] = []
    end = events.on(events.Rescheduled, found.append)
    yield found
    end()


def test_a_job_for_later_that_is_moved_to_now_runs_in_the_other_queue(
    line: Line, session: Session, rabbit: Rabbit, queue: str, heard: list[events.Rescheduled]
) -> None:
    """Whose own actors are of the other sort, so that it has no thread of its own."""
    other = f"{queue}.other"

    async def wait(_: Note, __: Job) -> None:
        pass

    kind = note_kind(queue)
    try:
        line.start_relay(queue, other)
        line.start_worker(
            Actor(kind, do_nothing), Actor(note_kind(other, "test.wait"), wait), threads=2
        )
        job = line.submit(kind(), run_at=LATER)
        now = datetime.now(UTC)
        assert reschedule(
            session, job, run_at=now, priority=Priority.HIGH, queue=other, by="ann", why="urgent"
        )
        assert heard == []
        session.commit()
        ended = line.wait_for(job, "succeeded")
        assert (ended.queue, ended.priority, ended.dispatch) == (other, Priority.HIGH, 2)
        (told,) = heard
        assert (told.job_id, told.queue, told.by, told.why) == (job, other, "ann", "urgent")
    finally:
        line.stop()
        for each in (other, f"{other}.XQ"):
            rabbit.delete(each)


def test_what_is_no_time_or_queue_or_name_is_refused(session: Session, line: Line) -> None:
    job = line.submit(note_kind("q")())
    with pytest.raises(ValueError, match="time zone"):
        reschedule(session, job, run_at=LATER.replace(tzinfo=None), by="ann")
    with pytest.raises(ValueError, match="no name of a queue"):
        reschedule(session, job, queue="amq.mine", by="ann")
    with pytest.raises(ValueError, match="must have a name"):
        reschedule(session, job, by=" ")
