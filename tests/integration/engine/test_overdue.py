"""Which jobs count as overdue, and what each is said to wait for."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from outbox import Key, Kinds, Rate
from outbox.operations import overdue
from outbox.operations.flow import key_limits
from outbox.operations.overdue import OverdueJob
from tests.support.engine.by_hand import KIND, ByHand
from tests.support.engine.keyed import Keyed
from tests.support.engine.line import note_kind

KINDS = Kinds(note_kind("q", KIND, time_limit=timedelta(minutes=1)))
SILENCE = timedelta(seconds=10)

AGE_QUEUED = "UPDATE duly.jobs SET run_at = run_at - interval '6 min' WHERE id = %(id)s"
AGE_EVENT = """
UPDATE duly.outbox_events SET available_at = available_at - interval '6 min' WHERE job_id = %(id)s
"""
AGE_RUN = "UPDATE duly.jobs SET started_at = now() - %(age)s WHERE id = %(id)s"
CLOCKS = """
INSERT INTO duly.key_clocks
SELECT key, now() + ahead, pause
FROM (VALUES ('kept', interval '1 h', NULL), ('full', '2 h', NULL), ('limited', '3 h', NULL),
             ('paused', '0', timestamptz '2100-01-31 09:00Z')) AS clock (key, ahead, pause)
RETURNING tat
"""
FALL_SILENT = "UPDATE duly.workers SET heartbeat_at = now() - interval '11 s'"


def late(by_hand: ByHand, *, priority: int = 1) -> UUID:
    """A job queued six minutes ago."""
    job = by_hand.submit(priority=priority)
    by_hand.take(AGE_QUEUED, id=job)
    by_hand.take(AGE_EVENT, id=job)
    return job


def find(session: Session) -> list[OverdueJob]:
    return overdue.find(session, KINDS, silence=SILENCE)


def whys(session: Session) -> dict[UUID, str]:
    """What is said of each overdue job."""
    return {job.id: job.why for job in find(session)}


def test_what_is_queued_running_or_scheduled_in_time_is_not_overdue(
    session: Session, by_hand: ByHand
) -> None:
    by_hand.beat("w1")
    by_hand.submit()
    by_hand.running(worker="w1")
    assert find(session) == []
    assert overdue.count(session, KINDS, silence=SILENCE).overdue == {}


def test_a_late_job_that_no_live_worker_serves(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    by_hand.take(FALL_SILENT)
    job = late(by_hand)
    (found,) = find(session)
    assert (found.id, found.kind, found.queue, found.state) == (job, KIND, "q", "queued")
    assert found.since == by_hand.job(job)["run_at"]
    assert found.why == "no live worker serves q"
    assert overdue.count(session, KINDS, silence=SILENCE).overdue == {"q": 1}


def test_a_late_job_in_the_backlog_tells_its_place(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    low, first, second = late(by_hand, priority=2), late(by_hand), late(by_hand)
    by_hand.submit(priority=0)
    by_hand.submit(queue="other")
    ahead = "it waits to be published, behind {} others".format
    assert whys(session) == {low: ahead(3), first: ahead(1), second: ahead(2)}


def test_the_place_in_a_long_backlog_is_not_counted_out(session: Session, by_hand: ByHand) -> None:
    for _ in range(1001):
        by_hand.submit(priority=0)
    job = late(by_hand)
    by_hand.beat("w1")
    assert whys(session) == {job: "it waits to be published, behind at least 1000 others"}


def test_a_late_job_tells_what_holds_its_keys(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    keyed = Keyed(by_hand)
    dead = keyed.running("held")
    by_hand.die(dead)
    waiting = [
        keyed.submit("held"),
        keyed.submit("account", ordered=True),
        keyed.submit("account", ordered=True),
    ]
    plain = late(by_hand)
    for job in waiting:
        by_hand.take(AGE_QUEUED, id=job)
    kinds = Kinds(note_kind("q", KIND, key=Key(lambda note: note.text, at_most=1, hold=True)))
    found = overdue.find(session, kinds, silence=SILENCE)
    assert {job.id: job.why for job in found} == {
        waiting[0]: f"its key held is held by the dead letter of job {dead}",
        waiting[1]: "it waits for its turn or its keys: account",
        waiting[2]: f"in its key account job {waiting[1]} comes before it",
        plain: "it waits to be published, behind 0 others",
    }


def test_a_late_job_tells_when_its_key_has_a_permit(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    keyed, jobs = Keyed(by_hand), {}
    for key in ("kept", "full", "limited", "paused"):
        jobs[key] = keyed.submit(key)
        by_hand.take(AGE_QUEUED, id=jobs[key])
    _, full, limited, _ = (row["tat"] for row in by_hand.take(CLOCKS))
    key_limits.set_limit(session, "limited", rate=Rate(1, per=timedelta(days=9)), by="ann")
    rate = Rate(1, per=timedelta(hours=1), burst=2)
    kinds = Kinds(note_kind("q", KIND, key=Key(lambda note: note.text, rate=rate)))
    found = {job.id: job.why for job in overdue.find(session, kinds, silence=SILENCE)}
    why = "it waits for a permit of its key {}, and the next one comes at {:%Y-%m-%dT%H:%M:%SZ}"
    assert found == {
        jobs["kept"]: "it waits for its turn or its keys: kept",
        jobs["full"]: why.format("full", full.astimezone(UTC) - timedelta(hours=1)),
        jobs["limited"]: why.format("limited", limited.astimezone(UTC)),
        jobs["paused"]: why.format("paused", datetime(2100, 1, 31, 9, tzinfo=UTC)),
    }


def test_a_late_job_whose_message_was_refused(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    job = late(by_hand)
    by_hand.take("UPDATE duly.outbox_events SET failures = 2")
    assert whys(session) == {job: "RabbitMQ refused its message 2 times"}


def test_a_late_job_that_was_published(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    job = late(by_hand)
    by_hand.publish(job)
    assert whys(session) == {job: "it was published, and no worker has claimed it"}


def test_a_job_that_workers_refuse_for_long(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    job, recent, run_since = (by_hand.submit() for _ in range(3))
    for each in (job, recent, run_since):
        by_hand.put_off(each)
    age = "UPDATE duly.refusals SET since = since - interval '6 min' WHERE job_id <> %(recent)s"
    by_hand.take(age, recent=recent)
    by_hand.take("UPDATE duly.jobs SET run_at = now()")
    by_hand.claim(run_since, dispatch=2)
    by_hand.retry(run_since, dispatch=2)
    assert whys(session) == {job: "it is new"}
    assert overdue.count(session, KINDS, silence=SILENCE).overdue == {"q": 1}


def test_a_job_past_its_time_limit(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    job = by_hand.running(worker="w1")
    by_hand.take(AGE_RUN, id=job, age=timedelta(seconds=61))
    (found,) = find(session)
    assert found.since == by_hand.job(job)["started_at"]
    assert found.why == "it has run for longer than its time limit of 00:01:00"
    by_hand.take(AGE_RUN, id=job, age=timedelta(seconds=59))
    session.rollback()
    assert find(session) == []


def test_a_job_of_an_unknown_kind_past_every_known_limit(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    job = by_hand.running(worker="w1")
    others = Kinds(
        note_kind("q", "short", time_limit=timedelta(minutes=1)),
        note_kind("q", "long", time_limit=timedelta(minutes=30)),
    )
    for kinds, minutes in (others, 30), (Kinds(), 10):
        by_hand.take(AGE_RUN, id=job, age=timedelta(minutes=minutes, seconds=1))
        (found,) = overdue.find(session, kinds, silence=SILENCE)
        limit = f"00:{minutes}:00"
        assert found.why == f"it has run for longer than {limit}, and its kind is not known here"
        by_hand.take(AGE_RUN, id=job, age=timedelta(minutes=minutes, seconds=-1))
        session.rollback()
        assert overdue.find(session, kinds, silence=SILENCE) == []
        session.rollback()


def test_a_job_whose_worker_is_silent(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    job = by_hand.running(worker="w1")
    by_hand.take(FALL_SILENT)
    assert whys(session) == {job: "its worker w1 is silent: to be rescued"}


def test_the_longest_overdue_come_first_and_no_more_than_asked(
    session: Session, by_hand: ByHand
) -> None:
    first, second, _ = (late(by_hand) for _ in range(3))
    found = overdue.find(session, KINDS, silence=SILENCE, limit=2)
    assert [job.id for job in found] == [first, second]
