"""Cancel, replay and discard: the steps that a person takes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest

from outbox.store import transitions
from tests.protocol.stage import AS_THEY_LIE
from tests.support.engine.by_hand import WAITING, ByHand
from tests.support.wait import wait_for

LEFT_OVER = """
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
SELECT id, dispatch, kind, queue, priority, run_at FROM duly.jobs WHERE id = %(id)s
"""


def test_a_queued_job_is_cancelled_at_once_and_never_published(by_hand: ByHand) -> None:
    job = by_hand.submit()
    assert by_hand.cancel(job) == [{"state": "cancelled"}]
    assert by_hand.job(job)["finished_at"] is not None
    assert by_hand.event(job) is None


def test_a_cancelled_job_whose_message_is_on_its_way_does_not_run(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.publish(job)
    by_hand.cancel(job)
    assert by_hand.claim(job) is None


def test_a_running_job_is_asked_and_may_still_succeed(by_hand: ByHand) -> None:
    job = by_hand.running()
    assert by_hand.cancel(job) == [{"state": "running"}]
    asked = by_hand.job(job)["cancel_requested_at"]
    assert asked is not None
    by_hand.cancel(job)
    assert by_hand.job(job)["cancel_requested_at"] == asked
    assert by_hand.succeed(job)
    assert by_hand.job(job)["state"] == "succeeded"


def test_a_job_that_has_ended_cannot_be_cancelled(by_hand: ByHand) -> None:
    dead, _ = by_hand.dead()
    done = by_hand.running()
    by_hand.succeed(done)
    before = by_hand.everything()
    assert [by_hand.cancel(job) for job in (dead, done, uuid4())] == [[], [], []]
    assert by_hand.everything() == before
    by_hand.take(LEFT_OVER, id=dead)
    ended, queued = [by_hand.job(job) for job in (dead, done)], by_hand.submit()
    cancelled = by_hand.take(transitions.CANCEL, ids=[dead, done, queued], by="ann", why=None)
    assert [row["id"] for row in cancelled] == [queued]
    assert [by_hand.job(job) for job in (dead, done)] == ended
    assert by_hand.event(dead)


def test_a_job_that_ends_before_its_cancellation_stays_as_it_ended(
    by_hand: ByHand, other_hand: ByHand, database_url: str
) -> None:
    job = by_hand.running()
    with ThreadPoolExecutor(1) as thread:
        with psycopg.connect(database_url) as worker:
            assert ByHand(worker).succeed(job)
            cancelling = thread.submit(by_hand.cancel, job)
            wait_for("one to wait for the other", lambda: other_hand.take(WAITING))
        assert cancelling.result() == []
    now = by_hand.job(job)
    assert (now["state"], now["cancel_requested_at"]) == ("succeeded", None)
    assert now["finished_at"]


def test_a_replay_queues_the_next_dispatch_and_says_who_and_why(by_hand: ByHand) -> None:
    job, letter = by_hand.dead()
    assert by_hand.close(transitions.REPLAY, letter) == [job]

    now, event, (closed,) = by_hand.job(job), by_hand.event(job), by_hand.letters(job)
    assert (now["state"], now["dispatch"], now["finished_at"]) == ("queued", 2, None)
    assert event is not None
    assert event["dispatch"] == 2
    assert closed["closed_at"] is not None
    assert (closed["resolution"], closed["closed_by"]) == ("replayed", "ann")
    assert (closed["close_reason"], closed["error_message"]) == ("mended", "no")
    assert len(by_hand.attempts(job)) == 1


def test_a_replayed_job_has_a_fresh_budget_and_goes_on_counting(by_hand: ByHand) -> None:
    job = by_hand.running(budget=3)
    by_hand.retry(job)
    by_hand.claim(job, dispatch=2)
    by_hand.die(job, dispatch=2, attempt=2)
    by_hand.close(transitions.REPLAY, by_hand.letters(job)[0]["id"])
    claim = by_hand.claim(job, dispatch=3)
    assert claim is not None
    assert (claim["attempt"], claim["attempt_limit"], claim["attempt_budget"]) == (3, 5, 3)


def test_a_replayed_job_that_dies_again_has_a_second_letter(by_hand: ByHand) -> None:
    job, letter = by_hand.dead()
    by_hand.close(transitions.REPLAY, letter)
    by_hand.claim(job, dispatch=2)
    assert by_hand.die(job, dispatch=2, attempt=2)
    first, second = by_hand.letters(job)
    assert (first["resolution"], second["resolution"]) == ("replayed", None)
    assert by_hand.close(transitions.REPLAY, second["id"]) == [job]


def test_a_replay_forgets_that_the_job_was_to_be_cancelled(by_hand: ByHand) -> None:
    """Up to version 0.1.0 such a job could die all the same."""
    job, letter = by_hand.dead()
    by_hand.take("UPDATE duly.jobs SET cancel_requested_at = now()")
    by_hand.close(transitions.REPLAY, letter)
    by_hand.claim(job, dispatch=2)
    assert by_hand.retry(job, dispatch=2, attempt=2)
    assert by_hand.job(job)["state"] == "queued"


def test_a_discard_closes_the_letter_and_leaves_the_job_dead(by_hand: ByHand) -> None:
    job, letter = by_hand.dead()
    assert by_hand.close(transitions.DISCARD, letter) == [job]
    closed = by_hand.letters(job)[0]
    assert (closed["resolution"], closed["closed_by"]) == ("discarded", "ann")
    assert by_hand.job(job)["state"] == "dead"
    assert by_hand.event(job) is None


@pytest.mark.parametrize("first", [transitions.REPLAY, transitions.DISCARD])
@pytest.mark.parametrize("second", [transitions.REPLAY, transitions.DISCARD])
def test_a_closed_letter_is_left_as_it_is(by_hand: ByHand, first: str, second: str) -> None:
    _, letter = by_hand.dead()
    by_hand.close(first, letter)
    before = by_hand.everything()
    assert by_hand.close(second, letter) == []
    assert by_hand.everything() == before


def test_a_letter_that_belongs_to_no_job_cannot_be_replayed_but_discarded(by_hand: ByHand) -> None:
    letter = by_hand.keep_foreign(b"?")
    assert by_hand.close(transitions.REPLAY, letter) == []
    assert by_hand.close(transitions.DISCARD, letter) == [None]


def test_several_letters_are_replayed_together(by_hand: ByHand) -> None:
    dead = [by_hand.dead() for _ in range(5)]
    by_hand.close(transitions.DISCARD, dead[0][1])
    replayed = by_hand.close(transitions.REPLAY, *[letter for _, letter in dead])
    assert set(replayed) == {job for job, _ in dead[1:]}


def test_of_a_replay_and_a_discard_at_once_exactly_one_wins(
    by_hand: ByHand, other_hand: ByHand
) -> None:
    for _ in range(30):
        job, letter = by_hand.dead()
        start = threading.Barrier(2)

        def race(hand: ByHand, step: str, letter: int = letter) -> bool:
            start.wait()  # noqa: B023 - called in this round only
            return bool(hand.close(step, letter))

        with ThreadPoolExecutor(2) as people:
            replay = people.submit(race, by_hand, transitions.REPLAY)
            discard = people.submit(race, other_hand, transitions.DISCARD)
        assert replay.result() != discard.result()
        assert (by_hand.job(job)["state"] == "queued") == replay.result()
        assert (by_hand.event(job) is not None) == replay.result()
        assert by_hand.letters(job)[0]["resolution"] == (
            "replayed" if replay.result() else "discarded"
        )


def test_a_rescheduled_job_has_its_new_time_priority_and_queue(by_hand: ByHand) -> None:
    job = by_hand.submit()
    before = by_hand.job(job)
    by_hand.reschedule(job, priority=0, queue="other", run_at="tomorrow")
    now, event = by_hand.job(job), by_hand.event(job)
    assert (now["state"], now["dispatch"]) == ("queued", 2)
    assert (now["priority"], now["queue"]) == (0, "other")
    assert now["run_at"] > before["run_at"]
    assert event == {
        "job_id": job,
        "dispatch": 2,
        "kind": now["kind"],
        "queue": "other",
        "priority": 0,
        "available_at": now["run_at"],
        "failures": 0,
        "keys": None,
        "position": None,
    }
    assert by_hand.claim(job, 2) is None, "its time has not come"
    query = "SELECT who, why, act, about FROM duly.acts WHERE about = ARRAY[%(about)s]"
    (act,) = by_hand.take(query, about=f"job:{job}")
    assert act == {"who": "ann", "why": "mended", "act": "reschedule", "about": [f"job:{job}"]}


def test_what_is_not_given_stays_and_the_past_means_now(by_hand: ByHand) -> None:
    job, early = by_hand.submit(), by_hand.submit()
    before = by_hand.job(job)
    by_hand.reschedule(job, priority=2)
    assert by_hand.job(job) == before | {"dispatch": 2, "priority": 2}
    (moved,) = by_hand.reschedule(early, run_at="yesterday")
    assert moved["run_at"] >= before["run_at"]
    assert by_hand.claim(early, 2)


def test_a_message_of_a_rescheduled_job_that_is_on_its_way_starts_nothing(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.publish(job)
    by_hand.reschedule(job, priority=0)
    assert by_hand.claim(job) is None
    assert by_hand.claim(job, 2)


def test_a_replayed_job_that_is_rescheduled_stays_behind_fresh_ones(by_hand: ByHand) -> None:
    job, letter = by_hand.dead()
    by_hand.close(transitions.REPLAY, letter)
    by_hand.reschedule(job, priority=2)
    event = by_hand.event(job)
    assert event
    assert event["priority"] == 2 + transitions.REPLAYED


def test_only_queued_jobs_are_rescheduled(by_hand: ByHand) -> None:
    dead, _ = by_hand.dead()
    running, cancelled = by_hand.running(), by_hand.submit()
    by_hand.cancel(cancelled)
    before = by_hand.everything()
    for job in (dead, running, cancelled, uuid4()):
        assert by_hand.reschedule(job, priority=0) == []
    assert by_hand.everything() == before


def test_a_job_is_not_moved_past_its_end(by_hand: ByHand) -> None:
    job = by_hand.submit(expires_at="tomorrow")
    late = by_hand.take("SELECT now() + interval '3 days' AS at")[0]["at"]
    assert by_hand.reschedule(job, run_at=late) == []
    assert by_hand.reschedule(job, run_at="now")
    begun = by_hand.submit(expires_at="tomorrow")
    by_hand.claim(begun)
    by_hand.retry(begun)
    assert by_hand.reschedule(begun, run_at=late), "it no longer expires"
    expired = by_hand.submit(expires_at="yesterday")
    assert by_hand.reschedule(expired, run_at="yesterday") == []


def test_jobs_are_locked_for_their_cancellation_in_the_order_of_their_ids(
    by_hand: ByHand, database_url: str
) -> None:
    """Two who cancel many at once wait for each other, and do not deadlock."""
    first, second = by_hand.submit(), by_hand.submit()
    by_hand.take("UPDATE duly.jobs SET queue = queue WHERE id = %(id)s", id=first)
    lock = "SELECT id FROM duly.jobs WHERE id = %(id)s FOR UPDATE SKIP LOCKED"
    with (
        psycopg.connect(database_url, autocommit=True) as other,
        psycopg.connect(database_url, autocommit=True) as bulk,
        ThreadPoolExecutor(1) as thread,
    ):
        bulk.execute(AS_THEY_LIE)
        with other.transaction():
            other.execute(lock, {"id": first})
            cancel = {"ids": [second, first], "by": "ann", "why": None}
            cancelling = thread.submit(bulk.execute, transitions.CANCEL, cancel)
            wait_for("one to wait for the other", lambda: by_hand.take(WAITING))
            assert by_hand.take(lock, id=second)
        assert cancelling.result().rowcount == 2


def test_a_queue_is_paused_once_and_resumed_by_itself(by_hand: ByHand) -> None:
    asked = {"by": "ann", "why": None, "channel": "c", "message": "m"}
    for queue in ("a", "b"):
        assert by_hand.take(transitions.PAUSE_QUEUE, queue=queue, **asked)
    assert by_hand.take(transitions.PAUSE_QUEUE, queue="a", **asked) == []
    assert by_hand.take(transitions.RESUME_QUEUE, queue="a", **asked)
    assert by_hand.take(transitions.RESUME_QUEUE, queue="a", **asked) == []
    assert by_hand.take("SELECT queue FROM duly.paused_queues") == [{"queue": "b"}]
