"""Expired jobs in the whole line: relay, RabbitMQ and worker."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from outbox import Actor, Job, events, submit
from outbox.maintenance.expirer import Expirer
from outbox.testing import drain, submitted
from tests.integration.engine.refusing import Refusing
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, Note, do_nothing, note_kind, run_aside
from tests.support.wait import wait_for


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


def test_a_job_that_expires_in_the_broker_never_runs(
    line: Line, by_hand: ByHand, queue: str
) -> None:
    kind, ran = note_kind(queue), list[str]()

    def run(note: Note, _: Job) -> None:
        ran.append(note.text)

    line.start_relay(queue)
    late = line.submit(kind(text="late"), expires_at=soon())
    wait_for("its message is in the broker", lambda: by_hand.event(late) is None)
    assert line.wait_for(late, "cancelled").cancel_reason == "it had not begun by expires_at"
    line.start_worker(Actor(kind, run))
    line.wait_for(
        line.submit(kind(text="early"), expires_at=soon() + timedelta(days=1)), "succeeded"
    )
    assert ran == ["early"]
    assert by_hand.job(late)["attempt"] == 0


def test_the_relay_tells_of_it(line: Line, queue: str) -> None:
    heard: list[events.Cancelled] = []
    end = events.on(events.Cancelled, heard.append)
    try:
        line.start_relay(queue)
        job = line.submit(note_kind(queue)(), expires_at=soon())
        told = wait_for("the news", lambda: heard and heard[0])
    finally:
        end()
    assert told == events.Cancelled(
        job_id=job, kind="test.note", by=None, why="it had not begun by expires_at"
    )


def test_a_job_that_the_tables_refuse_to_cancel_keeps_no_other(
    by_hand: ByHand, database_url: str, refusing: Refusing
) -> None:
    refused = by_hand.submit("refused", expires_at="yesterday")
    job = by_hand.submit(expires_at="yesterday")
    refusing.refuse("jobs", "new.state = 'cancelled' AND new.queue = 'refused'")
    with capture_logs() as logs:
        stop = run_aside(Expirer(database_url).run)
        try:
            wait_for("the other", lambda: by_hand.job(job)["state"] == "cancelled")
            refusing.take()
            wait_for("it", lambda: by_hand.job(refused)["state"] == "cancelled")
        finally:
            stop()
    warnings = [each["event"] for each in logs if each["log_level"] != "info"]
    assert warnings == ["job cannot be cancelled"]


def test_a_job_cannot_expire_before_it_may_run(session: Session) -> None:
    work, now = note_kind("q")(), datetime.now(UTC)
    with pytest.raises(ValueError, match="expires_at needs a time zone"):
        submit(session, work, expires_at=now.replace(tzinfo=None))
    with pytest.raises(ValueError, match="later than run_at"):
        submit(session, work, run_at=now, expires_at=now)
    submit(session, work, expires_at=now)
    assert [job.expires_at for job in submitted(session)] == [now]


def test_drain_cancels_what_has_expired(
    session: Session, database_url: str, by_hand: ByHand
) -> None:
    kind = note_kind("q")
    late = submit(session, kind(), expires_at=datetime.now(UTC))
    early = submit(session, kind())
    session.commit()
    assert [job.id for job in drain([Actor(kind, do_nothing)], database_url)] == [early.id]
    assert by_hand.job(late.id)["state"] == "cancelled"
