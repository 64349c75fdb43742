from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from outbox.store import transitions
from tests.support.engine.by_hand import KIND, WHAT_WENT_WRONG, ByHand, Row, wanted

Step = Callable[..., Row | None]
ENDS = ["succeed", "retry", "snooze", "die"]


def test_a_claim_starts_an_attempt_and_returns_the_payload(by_hand: ByHand) -> None:
    job = by_hand.submit(budget=5)
    claim = by_hand.claim(job)
    assert claim is not None
    assert (claim["n"], claim["attempt"], claim["attempt_limit"]) == (1, 1, 5)
    assert claim["payload"] == {}
    now = by_hand.job(job)
    assert (now["state"], now["worker"], now["attempt"]) == ("running", "w1", 1)
    assert now["started_at"] is not None


def test_a_claim_of_another_dispatch_does_nothing(by_hand: ByHand) -> None:
    job = by_hand.submit()
    before = by_hand.everything()
    assert by_hand.claim(job, dispatch=2) is None
    assert by_hand.claim(job, dispatch=0) is None
    assert by_hand.claim(uuid4()) is None
    assert by_hand.everything() == before


def test_only_one_of_two_workers_claims_a_job(by_hand: ByHand) -> None:
    job = by_hand.submit()
    assert by_hand.claim(job, worker="w1")
    assert by_hand.claim(job, worker="w2") is None
    assert by_hand.job(job)["worker"] == "w1"


def test_a_worker_whose_claim_went_unanswered_claims_again_in_the_same_attempt(
    by_hand: ByHand,
) -> None:
    job = by_hand.submit()
    by_hand.claim(job, worker="w1")
    again = by_hand.claim(job, worker="w1")
    assert again is not None
    assert again["attempt"] == 1


@pytest.mark.parametrize("end", ["succeeded", "dead", "cancelled"])
def test_a_job_that_has_ended_is_not_claimed(by_hand: ByHand, end: str) -> None:
    job = by_hand.submit()
    if end == "cancelled":
        by_hand.cancel(job)
    else:
        by_hand.claim(job)
        assert by_hand.succeed(job) if end == "succeeded" else by_hand.die(job)
    assert by_hand.claim(job) is None
    assert by_hand.job(job)["state"] == end


def test_of_many_claims_each_answer_names_its_own_question(by_hand: ByHand) -> None:
    first, stale, third = (by_hand.submit() for _ in range(3))
    asked = {"id": [first, stale, third], "dispatch": [1, 7, 1], "kind": [KIND] * 3}
    answers = by_hand.take(transitions.CLAIM, **asked, worker="w1")
    assert {answer["n"] for answer in answers} == {1, 3}
    assert by_hand.job(stale)["state"] == "queued"


ERRORS = {name: [value] * 2 for name, value in WHAT_WENT_WRONG.items()}
OF_TWO: dict[str, dict[str, Any]] = {
    "SUCCEED": {"result": ["null"] * 2},
    "SUCCEED_MEMBER": {"result": ["null"] * 2},
    "RETRY": ERRORS | {"delay_seconds": [0.0] * 2},
    "SNOOZE": {"delay_seconds": [0.0] * 2},
    "DIE": ERRORS | {"reason": ["exhausted"] * 2},
    "STOP": {},
    "SAVE_PROGRESS": {"progress": ['{"done": 1}'] * 2},
}


@pytest.mark.parametrize("step", OF_TWO)
def test_of_many_jobs_each_answer_is_about_its_own(by_hand: ByHand, step: str) -> None:
    jobs = [by_hand.running(), by_hand.running()]
    for job in jobs:
        by_hand.cancel(job)  # so that STOP may end it
    fence = {"id": jobs, "dispatch": [1, 1], "attempt": [1, 1], "worker": "w1"}
    said = by_hand.take(getattr(transitions, step), **fence, **OF_TWO[step])
    assert sorted(row["n"] for row in said) == [1, 2]


def test_a_success_keeps_the_result(by_hand: ByHand) -> None:
    job = by_hand.running()
    assert by_hand.succeed(job)
    now = by_hand.job(job)
    assert (now["state"], now["result"], now["attempt"]) == ("succeeded", {"ok": True}, 1)
    assert now["finished_at"] is not None
    assert by_hand.event(job) is None
    assert by_hand.attempts(job) == []


def test_a_retry_records_the_attempt_and_queues_the_next_dispatch(by_hand: ByHand) -> None:
    job = by_hand.running()
    assert by_hand.retry(job, delay=60)

    now, event, (attempt,) = by_hand.job(job), by_hand.event(job), by_hand.attempts(job)
    assert (now["state"], now["dispatch"], now["attempt"]) == ("queued", 2, 1)
    assert event is not None
    assert event["dispatch"] == 2
    assert event["available_at"] == now["run_at"]
    assert 59 <= (now["run_at"] - attempt["finished_at"]).total_seconds() <= 61
    assert attempt["attempt"] == 1
    assert attempt["worker"] == "w1"
    assert {name: attempt[name] for name in WHAT_WENT_WRONG} == WHAT_WENT_WRONG


def test_a_snooze_gives_the_attempt_back(by_hand: ByHand) -> None:
    job = by_hand.running()
    assert by_hand.snooze(job, delay=60)

    now, event = by_hand.job(job), by_hand.event(job)
    assert (now["state"], now["dispatch"], now["attempt"]) == ("queued", 2, 0)
    assert event is not None
    assert (event["dispatch"], event["available_at"]) == (2, now["run_at"])
    assert by_hand.attempts(job) == []


def test_after_a_snooze_the_same_attempt_is_made_again(by_hand: ByHand) -> None:
    job = by_hand.running()
    by_hand.snooze(job)
    again = by_hand.claim(job, dispatch=2)
    assert again is not None
    assert again["attempt"] == 1


def test_a_forged_message_runs_nothing_early_and_nothing_as_another_kind(by_hand: ByHand) -> None:
    early, other = by_hand.running(), by_hand.submit()
    by_hand.snooze(early, delay=60)
    asked = {"id": [early, other], "dispatch": [2, 1], "kind": [KIND, "other.kind"]}
    assert by_hand.take(transitions.CLAIM, **asked, worker="w1") == []


def test_a_death_writes_the_attempt_and_the_letter(by_hand: ByHand) -> None:
    job = by_hand.running()
    assert by_hand.die(job)

    now, (attempt,), (letter,) = by_hand.job(job), by_hand.attempts(job), by_hand.letters(job)
    assert (now["state"], now["dispatch"]) == ("dead", 1)
    assert now["finished_at"] is not None
    assert {name: attempt[name] for name in WHAT_WENT_WRONG} == WHAT_WENT_WRONG
    assert (letter["dispatch"], letter["kind"], letter["queue"]) == (1, "test.note", "q")
    assert (letter["reason"], letter["error_type"]) == ("exhausted", "ValueError")
    assert letter["error_message"] == "no"
    assert (letter["closed_at"], letter["message_body"]) == (None, None)
    assert by_hand.event(job) is None


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("fence", [{"dispatch": 2}, {"dispatch": 0}, {"attempt": 2}])
def test_an_end_of_another_dispatch_or_attempt_does_nothing(
    by_hand: ByHand, end: str, fence: dict[str, int]
) -> None:
    job = by_hand.running()
    before = by_hand.everything()
    step: Step = getattr(by_hand, end)
    assert step(job, **fence) is None
    assert by_hand.everything() == before


def _queued(by_hand: ByHand) -> UUID:
    return by_hand.submit()


def _succeeded(by_hand: ByHand) -> UUID:
    job = by_hand.running()
    by_hand.succeed(job)
    return job


def _dead(by_hand: ByHand) -> UUID:
    return by_hand.dead()[0]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("state", [_queued, _succeeded, _dead])
def test_a_job_that_does_not_run_cannot_end(
    by_hand: ByHand, end: str, state: Callable[[ByHand], UUID]
) -> None:
    job = state(by_hand)
    before = by_hand.everything()
    step: Step = getattr(by_hand, end)
    assert step(job, attempt=by_hand.job(job)["attempt"]) is None
    assert by_hand.everything() == before


@pytest.mark.parametrize("end", ["retry", "snooze", "die"])
def test_a_running_job_that_was_cancelled_is_not_run_again(by_hand: ByHand, end: str) -> None:
    job = by_hand.running()
    by_hand.cancel(job)
    step: Step = getattr(by_hand, end)
    assert step(job)
    assert by_hand.job(job)["state"] == "cancelled"
    assert by_hand.job(job)["finished_at"] is not None
    assert by_hand.event(job) is None
    assert by_hand.letters(job) == []


@pytest.mark.parametrize("end", ["retry", "die"])
def test_the_last_attempt_of_a_job_that_was_cancelled_is_on_record(
    by_hand: ByHand, end: str
) -> None:
    job = by_hand.running()
    by_hand.cancel(job)
    step: Step = getattr(by_hand, end)
    assert step(job)
    (attempt,) = by_hand.attempts(job)
    assert {name: attempt[name] for name in WHAT_WENT_WRONG} == WHAT_WENT_WRONG


@pytest.mark.parametrize("again", ["retry", "snooze"])
def test_a_retry_waits_for_a_relay_that_still_holds_the_old_event(
    by_hand: ByHand, other_hand: ByHand, again: str
) -> None:
    """The relay has published but not committed yet, and the worker was faster."""
    job = by_hand.submit()
    with other_hand.connection.transaction():
        other_hand.take(transitions.LOCK_EVENTS, **wanted(q=10))
        other_hand.publish(job)
        by_hand.claim(job)
        by_hand.connection.execute("SET lock_timeout = '100ms'")
        step: Step = getattr(by_hand, again)
        with pytest.raises(Exception, match="lock timeout"):
            step(job)
    assert step(job)
    event = by_hand.event(job)
    assert event is not None
    assert event["dispatch"] == 2


def test_a_retry_replaces_an_old_event_that_the_relay_never_deleted(by_hand: ByHand) -> None:
    """The relay died between the broker's confirm and its own commit."""
    job = by_hand.submit()
    by_hand.claim(job)
    by_hand.retry(job)
    event = by_hand.event(job)
    assert event is not None
    assert event["dispatch"] == 2
    by_hand.publish(job, dispatch=1)
    assert by_hand.event(job) == event
