"""POSTPONE: a job that a worker does not know waits for one that does, for a while."""

import psycopg
import pytest

from outbox.store import transitions
from tests.support.engine.by_hand import KIND, ByHand

NOW_DUE = "UPDATE duly.jobs SET run_at = now()"
AGE = "UPDATE duly.refusals SET since = since - %(age)s * interval '1 s'"


def delay(hand: ByHand) -> float:
    """After how many seconds the only job is due, from when it was put off."""
    (row,) = hand.take("SELECT extract(epoch FROM run_at - now())::float8 AS delay FROM duly.jobs")
    return float(row["delay"])


def test_a_queued_job_is_put_off_with_its_next_dispatch(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.publish(job)
    assert by_hand.put_off(job)
    after, event = by_hand.job(job), by_hand.event(job)
    assert (after["state"], after["dispatch"], after["attempt"]) == ("queued", 2, 0)
    assert event
    assert (event["dispatch"], event["available_at"]) == (2, after["run_at"])
    assert event["priority"] == after["priority"]
    refusal = by_hand.refusal(job)
    assert refusal
    assert (refusal["dispatch"], refusal["why"]) == (2, "it is new")
    assert (by_hand.letters(job), by_hand.attempts(job)) == ([], [])


def test_a_running_job_that_is_put_off_gets_its_attempt_back(by_hand: ByHand) -> None:
    job = by_hand.running()
    assert by_hand.put_off(job, attempt=1)
    after = by_hand.job(job)
    assert (after["state"], after["dispatch"], after["attempt"]) == ("queued", 2, 0)
    by_hand.take(NOW_DUE)
    assert by_hand.claim(job, dispatch=2)


def test_it_waits_for_longer_the_longer_it_has_waited_up_to_a_minute(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.put_off(job)
    assert 1 < delay(by_hand) <= 2
    for dispatch, age, seconds in ((2, 20, 20), (3, 200, 60)):
        by_hand.take(AGE, age=age)
        by_hand.take(NOW_DUE)
        assert by_hand.put_off(job, dispatch)
        assert seconds - 2 < delay(by_hand) < seconds + 5


def test_a_job_refused_for_too_long_is_not_put_off_again(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.put_off(job)
    by_hand.take(AGE, age=3601)
    by_hand.take(NOW_DUE)
    assert by_hand.put_off(job, dispatch=2) is None
    assert by_hand.put_off(job, dispatch=2, patience=3700)


def test_what_was_refused_before_somebody_ran_the_job_does_not_count(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.put_off(job)
    by_hand.take(AGE, age=3601)
    by_hand.take(NOW_DUE)
    by_hand.claim(job, dispatch=2)
    by_hand.retry(job, dispatch=2)
    assert by_hand.put_off(job, dispatch=3)


def test_nor_does_what_was_refused_before_a_replay(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.put_off(job)
    by_hand.take(AGE, age=3601)
    by_hand.take(NOW_DUE)
    by_hand.bury(job, dispatch=2)
    by_hand.close(transitions.REPLAY, by_hand.letters(job)[0]["id"])
    assert by_hand.put_off(job, dispatch=3)


@pytest.mark.parametrize(
    "forged", [{"kind": "another"}, {"queue": "another"}, {"dispatch": 2}, {"attempt": 1}]
)
def test_a_message_that_is_wrong_about_its_job_puts_nothing_off(
    by_hand: ByHand, forged: dict[str, object]
) -> None:
    job = by_hand.submit()
    before = by_hand.everything()
    assert by_hand.put_off(job, **forged) is None  # type: ignore[arg-type]
    assert by_hand.everything() == before


def test_a_job_is_not_put_off_before_its_time(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.take("UPDATE duly.jobs SET run_at = now() + interval '1 min'")
    assert by_hand.put_off(job) is None


@pytest.mark.parametrize(
    "wrong", [{"attempt": 2}, {"attempt": 0}, {"worker": "w2"}, {"dispatch": 2}]
)
def test_a_running_job_is_put_off_by_its_own_worker_only(
    by_hand: ByHand, wrong: dict[str, object]
) -> None:
    job = by_hand.running()
    before = by_hand.everything()
    assert by_hand.put_off(job, **({"attempt": 1} | wrong)) is None  # type: ignore[arg-type]
    assert by_hand.everything() == before


def test_a_running_job_that_is_to_be_cancelled_is_not_put_off(by_hand: ByHand) -> None:
    job = by_hand.running()
    by_hand.cancel(job)
    assert by_hand.put_off(job, attempt=1) is None


def test_what_another_job_was_refused_for_does_not_count(by_hand: ByHand) -> None:
    refused, other = by_hand.submit(), by_hand.submit()
    by_hand.put_off(refused)
    by_hand.take(AGE, age=3601)
    by_hand.claim(other)
    by_hand.retry(other)
    by_hand.take(NOW_DUE)
    assert by_hand.put_off(other, dispatch=2)


def test_of_two_that_are_refused_at_once_one_may_have_been_refused_for_too_long(
    by_hand: ByHand,
) -> None:
    old, new = by_hand.submit(), by_hand.submit()
    by_hand.put_off(old)
    by_hand.take(AGE, age=3601)
    by_hand.claim(new)
    by_hand.retry(new)
    by_hand.take(NOW_DUE)
    rows = {
        "id": [old, new],
        "dispatch": [2, 2],
        "attempt": [0, 0],
        "kind": [KIND] * 2,
        "queue": ["q"] * 2,
        "why": ["new"] * 2,
        "patience_seconds": [3600.0] * 2,
    }
    taken = by_hand.take(transitions.POSTPONE, worker="w1", **rows)
    assert [row["n"] for row in taken] == [2]


def test_many_jobs_are_put_off_at_once_each_with_its_own_reason(by_hand: ByHand) -> None:
    jobs = [by_hand.submit() for _ in range(3)]
    rows = {
        "id": jobs,
        "dispatch": [1] * 3,
        "attempt": [0] * 3,
        "kind": [KIND] * 3,
        "queue": ["q"] * 3,
        "why": ["a", "b", "c"],
        "patience_seconds": [60.0] * 3,
    }
    taken = by_hand.take(transitions.POSTPONE, worker="w1", **rows)
    assert sorted(row["n"] for row in taken) == [1, 2, 3]
    kept = {row["job_id"]: row["why"] for row in by_hand.take("SELECT * FROM duly.refusals")}
    assert kept == dict(zip(jobs, "abc", strict=True))


def test_many_jobs_are_buried_at_once_each_with_its_own_reason(by_hand: ByHand) -> None:
    jobs = [by_hand.submit() for _ in range(3)]
    rows = {
        "id": jobs,
        "dispatch": [1] * 3,
        "kind": [KIND] * 3,
        "queue": ["q"] * 3,
        "reason": ["unknown_kind"] * 3,
        "error_type": [""] * 3,
        "error_message": ["a", "b", "c"],
    }
    assert len(by_hand.take(transitions.DIE_UNCLAIMED, **rows)) == 3
    said = [
        (by_hand.letters(job)[0]["error_type"], by_hand.letters(job)[0]["error_message"])
        for job in jobs
    ]
    assert said == [(None, "a"), (None, "b"), (None, "c")]


def test_a_forged_message_among_others_costs_its_job_no_event(by_hand: ByHand) -> None:
    buried, forged = by_hand.submit(), by_hand.submit()
    same = {"dispatch": [1] * 2, "queue": ["q"] * 2, "reason": ["unknown_kind"] * 2}
    texts = {"error_type": [""] * 2, "error_message": [""] * 2, "kind": [KIND, "another"]}
    assert len(by_hand.take(transitions.DIE_UNCLAIMED, id=[buried, forged], **same, **texts)) == 1
    assert (by_hand.event(buried), by_hand.event(forged) is None) == (None, False)


def test_what_is_kept_of_refusals_is_forgotten_once_the_job_has_moved_on_or_ended(
    by_hand: ByHand,
) -> None:
    waiting, running, failed, cancelled, buried = jobs = [by_hand.submit() for _ in range(5)]
    for job in jobs:
        by_hand.put_off(job)
    by_hand.take(NOW_DUE)
    by_hand.claim(running, dispatch=2)
    by_hand.claim(failed, dispatch=2)
    by_hand.retry(failed, dispatch=2)
    by_hand.cancel(cancelled)
    assert by_hand.bury(buried, dispatch=2)
    by_hand.take(transitions.PRUNE_REFUSALS)
    kept = [job for job in jobs if by_hand.refusal(job)]
    assert kept == [waiting, running]


def test_a_refusal_that_a_worker_writes_at_this_moment_is_kept_and_not_waited_for(
    by_hand: ByHand, database_url: str
) -> None:
    job = by_hand.submit()
    by_hand.put_off(job)
    by_hand.take(NOW_DUE)
    by_hand.claim(job, dispatch=2)
    by_hand.retry(job, dispatch=2)
    by_hand.take(NOW_DUE)
    with psycopg.connect(database_url) as worker:
        assert ByHand(worker).put_off(job, dispatch=3)
        by_hand.take("SET lock_timeout = '5s'")
        by_hand.take(transitions.PRUNE_REFUSALS)
    kept = by_hand.refusal(job)
    assert kept
    assert kept["dispatch"] == 4
