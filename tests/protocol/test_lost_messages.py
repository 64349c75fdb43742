"""The look for lost messages, when the other steps come in its way."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from outbox.store import transitions
from tests.protocol.clock import an_hour_passes
from tests.protocol.facts import look
from tests.protocol.invariants import check
from tests.protocol.parts import Message, collect, find_lost
from tests.protocol.stage import AS_THEY_LIE, Stage
from tests.support.engine.by_hand import WAITING, ByHand
from tests.support.wait import wait_for

LIE_BACKWARDS = """
CREATE INDEX backwards ON duly.publications (id DESC);
CLUSTER duly.publications USING backwards;
DROP INDEX duly.backwards
"""


@pytest.mark.parametrize("is_published", [True, False])
def test_a_job_that_moves_on_while_the_look_has_to_wait_is_not_lost(
    hands: list[ByHand], is_published: bool
) -> None:
    hand, collector, relay = hands[:3]
    blocked, moving = hand.submit(), hand.submit()
    for job in (blocked, moving):
        hand.publish(job)
    an_hour_passes(hand, beating=set())

    with ThreadPoolExecutor(1) as thread:
        with collector.connection.transaction():
            collect(collector, Message(blocked, 1), transitions.REDISPATCH)
            look_for_lost = thread.submit(find_lost, relay, 0)
            wait_for("one to wait for the other", lambda: hand.take(WAITING))
            hand.claim(moving)
            hand.retry(moving)
            if is_published:
                hand.publish(moving, dispatch=2)
        look_for_lost.result()

    an_hour_passes(hand, beating=set())
    find_lost(hand, 0)
    check(look(hand.connection)[moving])


def test_a_job_whose_message_was_lost_twice_is_published_once(hands: list[ByHand]) -> None:
    hand = hands[0]
    job = hand.submit()
    for _ in range(2):
        hand.publish(job)
        collect(hand, Message(job, 1), transitions.REDISPATCH)
    hand.publish(job)
    an_hour_passes(hand, beating=set())
    find_lost(hand, 0)
    facts = look(hand.connection)[job]
    assert (facts.event, facts.published) == (1, [])


def test_each_queue_is_judged_by_its_own_depth(hands: list[ByHand]) -> None:
    hand = hands[0]
    lost, waiting = hand.submit("empty"), hand.submit("full")
    for job in (lost, waiting):
        hand.publish(job)
    an_hour_passes(hand, beating=set())
    depths = {"queues": ["empty", "full"], "depths": [0, 1]}
    found = hand.take(transitions.REDISPATCH_LOST, **depths, patience_seconds=30)
    assert [row["job_id"] for row in found] == [lost]


def test_what_another_queue_delivered_says_nothing_of_this_one(hands: list[ByHand]) -> None:
    hand = hands[0]
    waiting, later, other = hand.submit(), hand.submit(), hand.submit("other")
    hand.publish(waiting)
    an_hour_passes(hand, beating=set())
    hand.publish(later)
    hand.publish(other)
    hand.claim(other)
    find_lost(hand, depth=1)
    assert hand.event(waiting) is None


def test_what_was_published_together_may_be_delivered_in_any_order(hands: list[ByHand]) -> None:
    hand = hands[0]
    waiting, claimed = hand.submit(), hand.submit()
    hand.take(transitions.DELETE_EVENTS, job_id=[waiting, claimed], dispatch=[1, 1])
    hand.claim(claimed)
    an_hour_passes(hand, beating=set())
    find_lost(hand, depth=1)
    assert hand.event(waiting) is None


def test_a_message_that_is_young_is_not_lost_with_an_old_one(hands: list[ByHand]) -> None:
    hand = hands[0]
    old, young = hand.submit(), hand.submit()
    hand.publish(old)
    an_hour_passes(hand, beating=set())
    hand.publish(young)
    find_lost(hand, depth=0)
    assert hand.event(old)
    assert hand.event(young) is None
    assert look(hand.connection)[young].published == [1]


def test_an_old_publication_says_nothing_of_a_later_dispatch(hands: list[ByHand]) -> None:
    hand = hands[0]
    job = hand.running()
    an_hour_passes(hand, beating=set())
    hand.retry(job)
    hand.publish(job, dispatch=2)
    find_lost(hand, depth=0)
    assert hand.event(job) is None


def test_two_relays_that_look_at_once_do_not_wait_for_each_other(stage: Stage) -> None:
    first, second = stage.relays
    job = first.submit()
    first.publish(job)
    an_hour_passes(first, beating=set())
    with first.connection.transaction():
        find_lost(first, depth=0)
        find_lost(second, depth=0)
    assert first.event(job)


def test_the_oldest_publications_are_looked_at_first(hands: list[ByHand]) -> None:
    hand = hands[0]
    oldest, *others = (hand.submit() for _ in range(51))
    for job in (oldest, *others):
        hand.publish(job)
    an_hour_passes(hand, beating=set())
    hand.connection.execute(LIE_BACKWARDS)
    hand.take(AS_THEY_LIE)
    find_lost(hand, depth=0)
    assert hand.event(oldest)


def test_lost_jobs_are_published_again_in_one_order(hands: list[ByHand]) -> None:
    """Two relays that find the same jobs lost would else deadlock."""
    hand = hands[0]
    jobs = [hand.submit() for _ in range(20)]
    for job in jobs:
        hand.publish(job)
    an_hour_passes(hand, beating=set())
    hand.take("SET enable_sort = off")
    asked = {"queues": ["q"], "depths": [0], "patience_seconds": 30}
    again = [row["job_id"] for row in hand.take(transitions.REDISPATCH_LOST, **asked)]
    assert again == sorted(jobs)
