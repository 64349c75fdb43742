"""Jobs that wait for keys are work as far as their keys let them start."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from outbox import Key, Kinds, Rate
from outbox.operations import status
from outbox.operations.backlog import startable, startable_sample
from outbox.operations.backlog.queue_status import QueueStatus
from outbox.operations.flow import key_limits
from tests.support.engine.by_hand import KIND, ByHand
from tests.support.engine.keyed import Keyed
from tests.support.engine.line import note_kind

SILENCE = timedelta(seconds=10)
TAKE_PERMIT = """
INSERT INTO duly.key_clocks (key, tat, not_before)
VALUES (%(key)s, now() + %(taken)s, now() + %(pause)s::interval)
"""
SHARED = Key(lambda _: "shared")

pytestmark = pytest.mark.usefixtures("small_tables")


def kinds(*keys: Key) -> Kinds:
    return Kinds(note_kind("q", KIND, key=keys))


def look(session: Session, known: Kinds) -> QueueStatus:
    (found,) = status.queues(session, known, SILENCE)
    session.rollback()  # the next look has another now()
    return found


@pytest.fixture
def keyed(small_tables: None, by_hand: ByHand) -> Keyed:
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


def test_a_job_without_a_permit_is_no_work(session: Session, keyed: Keyed) -> None:
    rate = Rate(1, timedelta(minutes=1), burst=4)
    known = kinds(Key(lambda _: "x", rate=rate))
    keyed.hand.take(TAKE_PERMIT, key="A", taken=timedelta(seconds=119), pause=None)
    keyed.hand.take(TAKE_PERMIT, key="B", taken=timedelta(), pause=timedelta(hours=1))
    assert look(session, known).work == 2
    assert keyed.admit("A")  # which takes one of the two
    assert look(session, known).work == 2


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize(("key", "work"), [(SHARED, 7), (Key(lambda _: "x", at_most=1), 2)])
def test_of_a_long_backlog_the_rest_counts_as_what_was_read(
    session: Session, monkeypatch: pytest.MonkeyPatch, key: Key, work: int
) -> None:
    monkeypatch.setattr(startable, "MOST_READ", 4)
    queue = look(session, kinds(key))
    assert (queue.work, queue.estimated) == (work, {"work"})


def test_a_full_key_with_a_long_backlog_hides_no_other_one(
    session: Session, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do jobs for later, whose keys come first."""
    monkeypatch.setattr(startable, "MOST_READ", 4)
    keyed = Keyed(by_hand)
    for _ in range(5):
        keyed.submit("A", run_at="2100-01-01T00:00:00Z")
        keyed.submit("B")
    for tenant in range(10):
        keyed.submit(f"tenant:{tenant}")
    key_limits.set_limit(session, "B", at_most=1, by="ann")
    session.commit()
    queue = look(session, kinds(SHARED))
    assert (queue.work, queue.estimated) == (11, {"work"})


@pytest.mark.parametrize(
    ("jobs", "work"),
    [
        ({f"tenant:{n}": 3 for n in range(40)}, 80),
        ({"A": 120}, 2),
        ({"A": 60} | {f"tenant:{n}": 3 for n in range(20)}, 42),
    ],
)
def test_of_a_long_backlog_with_limits_a_few_jobs_tell_how_many_may_start(
    session: Session,
    by_hand: ByHand,
    monkeypatch: pytest.MonkeyPatch,
    jobs: dict[str, int],
    work: int,
) -> None:
    monkeypatch.setattr(startable, "MOST_READ", 4)
    monkeypatch.setattr(startable_sample, "MOST_PICKED", 24)
    monkeypatch.setattr(startable_sample, "MOST_OF_A_KEY", 10)
    keyed = Keyed(by_hand)
    for key, count in jobs.items():
        for _ in range(count):
            keyed.submit(key)
    queue = look(session, kinds(Key(lambda _: "x", at_most=2)))
    assert 0.9 * work <= queue.work <= 1.1 * work
    assert queue.estimated == {"work"}


def test_of_a_long_backlog_a_key_that_all_share_bounds_them_together(
    session: Session, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startable, "MOST_READ", 1)
    monkeypatch.setattr(startable_sample, "MOST_PICKED", 5)
    keyed = Keyed(by_hand)
    for tenant in range(20):
        keyed.submit(f"tenant:{tenant}", "all")
    assert look(session, kinds(Key(lambda _: "tenant"), Key(lambda _: "all", at_most=2))).work == 2
