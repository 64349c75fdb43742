"""What a worker does with a job that stays running, and how a cancel ends one."""

from collections.abc import Callable

import pytest

from outbox.store import transitions
from tests.support.engine.by_hand import ByHand, Row

Step = Callable[..., Row | None]
DIED_BEFORE = """
UPDATE duly.dead_letters SET died_at = now() - CAST(%(ago)s AS interval) WHERE job_id = %(id)s
"""
STEPS = ["step", "say_progress", "stop", "succeed_member"]


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("wrong", [{"dispatch": 2}, {"attempt": 2}, {"worker": "w2"}])
def test_a_worker_that_was_replaced_does_nothing(
    by_hand: ByHand, name: str, wrong: dict[str, int | str]
) -> None:
    job = by_hand.running()
    by_hand.cancel(job)
    before = by_hand.everything()
    step: Step = getattr(by_hand, name)
    assert step(job, **wrong) is None
    assert by_hand.everything() == before
    assert step(job)


@pytest.mark.parametrize("name", STEPS)
def test_other_jobs_are_left_alone(by_hand: ByHand, name: str) -> None:
    job, other = by_hand.running(), by_hand.running()
    for each in (job, other):
        by_hand.cancel(each)
    before = by_hand.job(other)
    step: Step = getattr(by_hand, name)
    assert step(job)
    assert by_hand.job(other) == before


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("state", ["queued", "dead", "cancelled"])
def test_a_job_that_does_not_run_is_left_alone(by_hand: ByHand, name: str, state: str) -> None:
    job = by_hand.running()
    by_hand.cancel(job)
    by_hand.take("UPDATE duly.jobs SET state = %(state)s", state=state)
    before = by_hand.everything()
    step: Step = getattr(by_hand, name)
    assert step(job) is None
    assert by_hand.everything() == before


def test_a_success_that_is_counted_counts_only_members(by_hand: ByHand) -> None:
    """The worker takes another statement for other jobs."""
    assert by_hand.succeed_member(by_hand.running())
    assert by_hand.take("SELECT FROM duly.batch_changes") == []


def test_a_step_keeps_its_checkpoint_for_the_next_attempt(by_hand: ByHand) -> None:
    job = by_hand.running()
    assert by_hand.step(job, checkpoint='{"row": 7}')
    assert by_hand.job(job)["state"] == "running"
    by_hand.retry(job)
    claim = by_hand.claim(job, dispatch=2)
    assert claim
    assert claim["checkpoint"] == {"row": 7}
    assert by_hand.succeed(job, dispatch=2, attempt=2)
    assert by_hand.step(job, dispatch=2, attempt=2) is None


def test_a_replay_keeps_the_checkpoint(by_hand: ByHand) -> None:
    job = by_hand.running()
    by_hand.step(job, checkpoint="7")
    by_hand.die(job)
    by_hand.close(transitions.REPLAY, by_hand.letters(job)[0]["id"])
    claim = by_hand.claim(job, dispatch=2)
    assert claim
    assert claim["checkpoint"] == 7


def test_progress_keeps_the_first_report_of_its_attempt(by_hand: ByHand) -> None:
    job = by_hand.running()
    for done in (2, 5):
        by_hand.say_progress(job, done=done)
    progress = by_hand.job(job)["progress"]
    assert (progress["done"], progress["from"], progress["attempt"]) == (5, 2, 1)
    assert progress["since"] < progress["at"]
    by_hand.retry(job)
    assert by_hand.job(job)["progress"] == progress
    by_hand.claim(job, dispatch=2)
    by_hand.say_progress(job, dispatch=2, attempt=2, done=6)
    again = by_hand.job(job)["progress"]
    assert (again["done"], again["from"], again["attempt"]) == (6, 6, 2)
    assert again["since"] == again["at"] > progress["at"]


def test_the_last_report_may_come_with_the_success(by_hand: ByHand) -> None:
    job = by_hand.running()
    by_hand.succeed(job)
    assert by_hand.say_progress(job, done=9)
    assert by_hand.job(job)["progress"]["done"] == 9


def test_progress_waits_for_no_lock(by_hand: ByHand, other_hand: ByHand) -> None:
    job = by_hand.running()
    other_hand.connection.execute("SET lock_timeout = '100ms'")
    with by_hand.connection.transaction():
        by_hand.take("SELECT FROM duly.jobs WHERE id = %(id)s FOR UPDATE", id=job)
        assert other_hand.say_progress(job) is None
    assert other_hand.say_progress(job)


def test_a_worker_is_told_which_of_its_running_jobs_to_cancel(by_hand: ByHand) -> None:
    mine, others, unasked = by_hand.running(), by_hand.running(worker="w2"), by_hand.running()
    queued = by_hand.submit()
    for job in (mine, others, queued):
        by_hand.cancel(job)
    assert by_hand.to_cancel() == [[str(mine), 1]]
    assert by_hand.to_cancel("w2") == [[str(others), 1]]
    by_hand.retry(mine)
    assert by_hand.to_cancel() == []
    assert by_hand.job(unasked)["state"] == "running"


def test_only_what_somebody_asked_to_cancel_is_stopped(by_hand: ByHand) -> None:
    job = by_hand.running()
    assert by_hand.stop(job) is None
    assert by_hand.job(job)["state"] == "running"
    by_hand.cancel(job)
    assert by_hand.stop(job)
    now = by_hand.job(job)
    assert (now["state"], now["attempt"]) == ("cancelled", 1)
    assert now["finished_at"]
    assert by_hand.attempts(job) == []
    assert by_hand.letters(job) == []


@pytest.mark.parametrize("step", ["CLAIM", "CLAIM_RATED", "CLAIM_UNIQUE", "CLAIM_UNIQUE_RATED"])
def test_a_claim_says_how_long_ago_its_job_first_died_if_it_was_replayed(
    by_hand: ByHand, step: str
) -> None:
    claim = getattr(transitions, step)
    (other, _), (job, letter) = by_hand.dead(), by_hand.dead()
    by_hand.take(DIED_BEFORE, id=other, ago="1 day")
    by_hand.take(DIED_BEFORE, id=job, ago="1 hour")
    assert by_hand.close(transitions.REPLAY, letter)
    claimed = by_hand.claim(job, dispatch=2, step=claim)
    assert claimed
    assert 3600 <= claimed["dead_seconds"] < 3660
    never_replayed = by_hand.submit()
    renamed = "UPDATE duly.dead_letters SET job_id = %(id)s WHERE job_id = %(other)s"
    by_hand.take(renamed, id=never_replayed, other=other)
    claimed = by_hand.claim(never_replayed, step=claim)
    assert claimed
    assert claimed["dead_seconds"] is None


def test_of_many_each_job_has_its_own(by_hand: ByHand) -> None:
    jobs = [by_hand.running() for _ in range(3)]
    for job in jobs[:2]:
        by_hand.cancel(job)
    fence = {"id": jobs, "dispatch": [1] * 3, "attempt": [1] * 3, "worker": "w1"}
    reports = [f'{{"done": {done}, "total": null, "note": null}}' for done in range(3)]
    told = by_hand.take(transitions.SAVE_PROGRESS, **fence, progress=reports)
    assert sorted(row["n"] for row in told) == [1, 2, 3]
    assert [by_hand.job(job)["progress"]["done"] for job in jobs] == [0, 1, 2]
    stopped = by_hand.take(transitions.STOP, **fence)
    assert sorted(row["n"] for row in stopped) == [1, 2]
    assert [by_hand.job(job)["state"] for job in jobs] == ["cancelled", "cancelled", "running"]
