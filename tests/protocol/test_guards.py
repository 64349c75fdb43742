"""Guards that only matter in company, or where rows lie in another order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from outbox.store import transitions
from tests.protocol.parts import Message, collect
from tests.protocol.stage import AS_THEY_LIE
from tests.support.engine.by_hand import WAITING, ByHand, Row, wanted
from tests.support.wait import wait_for

AGE = """
UPDATE duly.outbox_events SET available_at = now() - %(age)s * interval '1 s' WHERE job_id = %(id)s
"""


def test_the_oldest_event_is_locked_first(hands: list[ByHand]) -> None:
    hand = hands[0]
    ages = {hand.submit(): age for age in (20, 30, 10)}
    for job, age in ages.items():
        hand.take(AGE, id=job, age=age)
    hand.take(AS_THEY_LIE)
    events = hand.take(transitions.LOCK_EVENTS, **wanted(q=2))
    assert [ages[UUID(event["job_id"])] for event in events] == [30, 20]


def test_no_queue_is_passed_over(hands: list[ByHand]) -> None:
    hand = hands[0]
    for queue in ("d", "b", "c", "a"):
        hand.submit(queue)
    found = hand.take(transitions.QUEUES_IN_USE)
    assert sorted(row["queue"] for row in found) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("step", [transitions.REPLAY, transitions.DISCARD])
def test_letters_are_locked_in_the_order_of_their_ids(hands: list[ByHand], step: str) -> None:
    hand, other, bulk = hands[:3]
    first, second = (hand.dead()[1] for _ in range(2))
    hand.take("UPDATE duly.dead_letters SET queue = queue WHERE id = %(id)s", id=first)
    bulk.take(AS_THEY_LIE)
    lock = "SELECT id FROM duly.dead_letters WHERE id = %(id)s FOR UPDATE SKIP LOCKED"
    with ThreadPoolExecutor(1) as thread:
        with other.connection.transaction():
            other.take(lock, id=first)
            closing = thread.submit(bulk.close, step, second, first)
            wait_for("one to wait for the other", lambda: hand.take(WAITING))
            assert hand.take(lock, id=second)
        assert len(closing.result()) == 2


def test_a_live_worker_does_not_keep_the_jobs_of_a_dead_one(hands: list[ByHand]) -> None:
    hand = hands[0]
    job = hand.running(worker="dead")
    hand.beat("live")
    assert [rescued["id"] for rescued in hand.rescue()] == [job]


def test_a_worker_that_leaves_takes_no_other_with_it(hands: list[ByHand]) -> None:
    hand = hands[0]
    for worker in ("w1", "w2"):
        hand.beat(worker)
    hand.take(transitions.DEREGISTER_WORKER, name="w1")
    assert [row["name"] for row in hand.take("SELECT name FROM duly.workers")] == ["w2"]


def test_a_job_is_known_by_its_id(hands: list[ByHand]) -> None:
    hand = hands[0]
    job = hand.submit()
    assert hand.take(transitions.JOB_EXISTS, job_id=job)
    assert hand.take(transitions.JOB_EXISTS, job_id=uuid4()) == []


def test_a_refusal_of_an_old_dispatch_does_not_put_off_the_next(hands: list[ByHand]) -> None:
    hand = hands[0]
    job = hand.submit()
    assert hand.take(transitions.DEFER_EVENTS, job_id=[job], dispatch=[2]) == []
    assert hand.take(transitions.DEFER_EVENTS, job_id=[job], dispatch=[1])


def test_a_message_turned_away_whose_event_is_still_there_asks_for_nothing(
    hands: list[ByHand],
) -> None:
    hand = hands[0]
    job = hand.submit()
    event = hand.event(job)
    collect(hand, Message(job, 1), transitions.REDISPATCH)
    assert hand.event(job) == event


def test_a_snooze_replaces_an_old_event_that_the_relay_never_deleted(hands: list[ByHand]) -> None:
    hand = hands[0]
    job = hand.submit()
    hand.claim(job)
    hand.snooze(job)
    event = hand.event(job)
    assert event
    assert event["dispatch"] == 2


def test_a_rescue_takes_only_what_was_running(hands: list[ByHand]) -> None:
    hand = hands[0]
    hand.running()
    queued = hand.submit()
    before = hand.job(queued)
    hand.rescue()
    assert hand.job(queued) == before


FORGET_CLAIM = """
UPDATE duly.jobs SET state = 'queued', attempt = 0, worker = NULL, started_at = NULL
WHERE id = %(id)s
"""
"""What a crash of Postgres does to a claim that did not wait for the disk."""
ENDINGS: list[Callable[..., Row | None]] = [
    ByHand.succeed,
    ByHand.retry,
    ByHand.snooze,
    ByHand.die,
]


@pytest.mark.parametrize("end", ENDINGS)
def test_a_worker_whose_claim_postgres_forgot_ends_nothing(
    hands: list[ByHand], end: Callable[..., Row | None]
) -> None:
    """Not even once another has claimed the job under the same number of attempts."""
    hand = hands[0]
    job = hand.running(worker="w1")
    hand.take(FORGET_CLAIM, id=job)
    assert end(hand, job, worker="w1") is None
    again = hand.claim(job, worker="w2")
    assert again
    assert again["attempt"] == 1
    assert end(hand, job, worker="w1") is None
    assert end(hand, job, worker="w2")
