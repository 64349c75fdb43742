"""Jobs that wait for keys are work as far as their keys let them start."""

from datetime import timedelta

import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import Key, Kinds, Rate
from outbox.operations import status
from outbox.operations.backlog import startable
from outbox.operations.backlog.queue_status import QueueStatus
from outbox.operations.flow import key_limits
from tests.support.engine.by_hand import KIND, ByHand
from tests.support.engine.keyed import Keyed
from tests.support.engine.line import note_kind

SILENCE = timedelta(seconds=10)
SHARED = Key(lambda _: "shared")


def kinds(*keys: Key) -> Kinds:
    return Kinds(note_kind("q", KIND, key=keys))


def look(session: Session, known: Kinds) -> QueueStatus:
    (found,) = status.queues(session, known, SILENCE)
    session.rollback()  # the next look has another now()
    return found


@pytest.fixture(autouse=True)
def _small_tables(sql_now: psycopg.Connection) -> None:
    """Tables without the empty blocks that other tests left: all of a small table is sampled."""
    sql_now.execute("TRUNCATE duly.outbox_events")


@pytest.fixture
def keyed(by_hand: ByHand) -> Keyed:
    """Five jobs of the key A, two of B, and one of A that is not due."""
    keyed = Keyed(by_hand)
    for key in ("A", "A", "A", "A", "A", "B", "B"):
        keyed.submit(key)
    keyed.submit("A", run_at="2100-01-01T00:00:00Z")
    return keyed


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize(
    ("key", "work"),
    [
        (SHARED, 7),
        (Key(lambda _: "x", at_most=1), 2),
        (Key(lambda _: "x", at_most=3), 5),
        (Key(lambda _: "x", ordered=True), 2),
        (Key(lambda _: "x", rate=Rate(10, timedelta(minutes=1), burst=4)), 6),
    ],
)
def test_a_backlog_with_keys_is_work_as_far_as_they_let_it_start(
    session: Session, key: Key, work: int
) -> None:
    queue = look(session, kinds(key))
    assert (queue.held.total, queue.due.total, queue.scheduled.total) == (7, 0, 1)
    assert (queue.work, queue.estimated) == (work, set())


def test_a_job_that_holds_its_key_takes_a_place(session: Session, keyed: Keyed) -> None:
    known = kinds(Key(lambda _: "x", at_most=2))
    assert look(session, known).work == 4
    assert keyed.admit("A")
    queue = look(session, known)
    assert (queue.due.total, queue.held.total, queue.work) == (1, 6, 4)


@pytest.mark.usefixtures("keyed")
def test_a_limit_that_was_set_counts(session: Session) -> None:
    key_limits.set_limit(session, "A", at_most=1, by="ann")
    session.commit()
    assert look(session, kinds(SHARED)).work == 3
    assert look(session, kinds(Key(lambda _: "x", at_most=2))).work == 3


@pytest.mark.usefixtures("keyed")
def test_jobs_of_a_kind_that_nobody_declares_start_one_by_one(session: Session) -> None:
    assert look(session, Kinds(note_kind("q", "test.other"))).work == 2


@pytest.mark.usefixtures("keyed")
def test_nothing_of_a_paused_queue_is_work(session: Session, by_hand: ByHand) -> None:
    by_hand.take("INSERT INTO duly.paused_queues (queue, who) VALUES ('q', 'ann')")
    assert look(session, kinds(SHARED)).work == 0


def test_a_key_that_all_share_bounds_them_together(session: Session, by_hand: ByHand) -> None:
    keyed = Keyed(by_hand)
    for tenant in range(5):
        keyed.submit(f"tenant:{tenant}", "all")
    known = kinds(Key(lambda _: "tenant"), Key(lambda _: "all", at_most=2))
    assert look(session, known).work == 2


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize(("key", "work"), [(SHARED, 7), (Key(lambda _: "x", at_most=1), 1)])
def test_of_a_long_backlog_the_rest_counts_as_what_was_read(
    session: Session, monkeypatch: pytest.MonkeyPatch, key: Key, work: int
) -> None:
    monkeypatch.setattr(startable, "MOST_READ", 4)
    queue = look(session, kinds(key))
    assert (queue.work, "work" in queue.estimated) == (work, work == 7)
