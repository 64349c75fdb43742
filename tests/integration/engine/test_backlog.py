"""What a queue is said to hold: each job once, and estimates of what is too much to count."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from outbox import Kinds
from outbox.operations import overdue, status
from outbox.operations.backlog import begun, letters, waiting
from outbox.operations.backlog.queue_status import ByPriority, QueueStatus
from tests.support.engine.by_hand import KIND, ByHand
from tests.support.engine.keyed import Keyed
from tests.support.engine.line import note_kind

KINDS = Kinds(note_kind("q", KIND))
SILENCE = timedelta(seconds=10)
AGE = """
WITH job AS (UPDATE duly.jobs SET run_at = now() - %(age)s WHERE id = %(id)s)
UPDATE duly.outbox_events SET available_at = now() - %(age)s WHERE job_id = %(id)s
"""
LATER = timedelta(hours=-1)
LATE = timedelta(minutes=6)

pytestmark = pytest.mark.usefixtures("small_tables")


def look(session: Session, queue: str = "q") -> QueueStatus:
    found = status.queues(session, KINDS, SILENCE)
    session.rollback()  # the next look has another now()
    return next(each for each in found if each.queue == queue)


def test_each_job_is_counted_once_by_state_and_priority(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    by_hand.running(worker="w1")
    for priority in (0, 1, 1, 1):
        by_hand.submit(priority=priority)
    by_hand.take("UPDATE duly.outbox_events SET priority = 3 WHERE priority = 0")  # as replayed
    by_hand.take(AGE, id=by_hand.submit(priority=2), age=LATER)
    published = by_hand.submit(priority=2)
    by_hand.publish(published)
    by_hand.take(AGE, id=published, age=LATE)
    Keyed(by_hand).submit("held")

    queue = look(session)

    assert queue.due == ByPriority(high=1, normal=3)
    assert queue.scheduled == ByPriority(low=1)
    assert queue.published == ByPriority(low=1)
    assert queue.running == ByPriority(normal=1)
    assert queue.held.total == 1
    assert (queue.queued, queue.work) == (7, 7)
    assert (queue.overdue, queue.workers, queue.estimated) == (1, 1, set())
    assert 360 <= (queue.oldest_queued_seconds or 0) < 400
    assert (queue.oldest_seconds or 0) < 60


def test_what_is_too_much_to_count_is_estimated_and_said_to_be(
    session: Session, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_COUNTED", 3)
    monkeypatch.setattr(overdue, "MOST_READ", 3)
    for _ in range(3):
        by_hand.take(AGE, id=by_hand.submit(), age=LATE)
    assert look(session).estimated == set()

    for _ in range(4):
        by_hand.take(AGE, id=by_hand.submit(), age=LATE)
    by_hand.submit(priority=0)
    queue = look(session)

    assert (queue.due, queue.overdue) == (ByPriority(high=1, normal=7), 7)
    assert queue.estimated == {"normal", "due", "queued", "work", "overdue"}
    assert queue.record()["estimated"] == ["due", "normal", "overdue", "queued", "work"]


def test_scheduled_and_held_jobs_are_estimated_apart(
    session: Session, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_COUNTED", 3)
    for _ in range(5):
        by_hand.take(AGE, id=by_hand.submit(), age=LATER)
    assert (look(session).scheduled.total, look(session).estimated) == (5, {"scheduled", "queued"})

    by_hand.take("DELETE FROM duly.outbox_events")
    keyed = Keyed(by_hand)
    for _ in range(5):
        keyed.submit("held")
    assert (look(session).held.total, look(session).due.total) == (5, 0)
    assert look(session).estimated == {"held", "scheduled", "queued"}


def test_many_levels_share_what_is_counted(
    session: Session, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_IN_ALL", 4)
    for queue in ("q", "r"):
        for _ in range(3):
            by_hand.submit(queue)
    assert (
        look(session).estimated
        == look(session, "r").estimated
        == {
            "normal",
            "due",
            "queued",
            "work",
        }
    )


def test_published_jobs_are_exact_while_the_oldest_that_are_listed_have_begun(
    session: Session, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(begun, "MOST_SENT", 10)
    for _ in range(5):
        by_hand.running()
    for _ in range(9):
        by_hand.publish(by_hand.submit())
    assert (look(session).published.total, look(session).estimated) == (9, set())
    by_hand.publish(by_hand.submit())
    assert look(session).estimated == {"published", "queued", "work"}
    assert look(session).running.total == 5


def test_of_many_published_jobs_a_part_is_looked_up(
    session: Session, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(begun, "MOST_LOOKED_UP", 10)
    for _ in range(40):
        by_hand.publish(by_hand.submit())
    queue = look(session)
    assert (queue.published.total, queue.estimated) == (40, {"published", "queued", "work"})


def test_many_open_letters_are_estimated(
    session: Session, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "MOST_COUNTED", 2)
    for _ in range(2):
        by_hand.die(by_hand.running())
    assert (look(session).dead, look(session).estimated) == (2, set())
    by_hand.die(by_hand.running())
    assert (look(session).dead, look(session).estimated) == (3, {"dead"})


def test_late_jobs_of_a_paused_queue_hide_none_of_another(
    session: Session, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "MOST_READ", 2)
    by_hand.take("INSERT INTO duly.paused_queues (queue, who) VALUES ('paused', 'ann')")
    for queue in ("paused", "paused", "paused", "q"):
        by_hand.take(AGE, id=by_hand.submit(queue), age=LATE)
    assert (look(session, "paused").overdue, look(session).overdue) == (0, 1)
    assert (look(session, "paused").work, look(session).work) == (0, 1)
    assert look(session).estimated == {"overdue"}


@pytest.mark.parametrize(("sent_at", "largest"), [(None, [7]), ("2026-01-31T09:00Z", [])])
def test_only_messages_that_wait_have_numbers_that_a_sequence_may_be_behind(
    session: Session, by_hand: ByHand, sent_at: str | None, largest: list[int]
) -> None:
    """The relay sends in the order of positions; of what was sent, nobody asks for it."""
    by_hand.take("SELECT setval('duly.outgoing_messages_position_seq', 6)")
    by_hand.take(
        "INSERT INTO duly.outgoing_messages (id, position, exchange, routing_key, type, properties,"
        " body, sent_at) OVERRIDING SYSTEM VALUE"
        " VALUES (gen_random_uuid(), 7, 'x', 'k', 't', '', '', %(sent_at)s)",
        sent_at=sent_at,
    )
    found = status.read(session, KINDS, SILENCE).behind
    table = "duly.outgoing_messages"
    assert [each.largest for each in found if each.table == table] == largest


def test_live_workers_count_for_each_of_their_queues(session: Session, by_hand: ByHand) -> None:
    by_hand.beat("w1")
    by_hand.beat("w2")
    assert look(session).workers == 2
    by_hand.take("UPDATE duly.workers SET heartbeat_at = now() - interval '1 h' WHERE name = 'w2'")
    assert look(session).workers == 1
