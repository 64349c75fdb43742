"""What becomes of the jobs of a worker that fell silent."""

from uuid import UUID

from outbox.store import transitions
from tests.support.engine.by_hand import ByHand

FALL_SILENT = """
UPDATE duly.workers SET heartbeat_at = now() - %(seconds)s * interval '1 s' WHERE name = %(name)s
"""


def gone(by_hand: ByHand, *, budget: int = 3) -> UUID:
    """A running job whose worker has stopped without a word."""
    by_hand.beat("w1")
    job = by_hand.running(budget=budget, worker="w1")
    by_hand.take(FALL_SILENT, name="w1", seconds=11)
    return job


def test_a_job_of_a_silent_worker_is_queued_again(by_hand: ByHand) -> None:
    job = gone(by_hand)
    (rescued,) = by_hand.rescue()
    assert (rescued["id"], rescued["worker"], rescued["state"]) == (job, "w1", "queued")

    now, event, (attempt,) = by_hand.job(job), by_hand.event(job), by_hand.attempts(job)
    assert (now["state"], now["dispatch"], now["attempt"]) == ("queued", 2, 1)
    assert event is not None
    assert event["dispatch"] == 2
    assert (attempt["outcome"], attempt["error_type"]) == ("crashed", "WorkerGone")
    assert attempt["error_message"] == "its worker w1 stopped without a word"


def test_a_worker_that_said_goodbye_leaves_its_jobs_at_once(by_hand: ByHand) -> None:
    by_hand.beat("w1")
    job = by_hand.running(worker="w1")
    by_hand.take(transitions.DEREGISTER_WORKER, name="w1")
    assert [rescued["id"] for rescued in by_hand.rescue()] == [job]


def test_a_live_workers_job_is_left_alone(by_hand: ByHand) -> None:
    gone(by_hand)
    by_hand.beat("w1")
    before = by_hand.everything()
    assert by_hand.rescue() == []
    assert by_hand.everything() == before


def test_a_replaced_worker_can_finish_nothing(by_hand: ByHand) -> None:
    job = gone(by_hand)
    by_hand.rescue()
    before = by_hand.everything()
    ends = (by_hand.succeed, by_hand.retry, by_hand.snooze, by_hand.die)
    assert [end(job, dispatch=1, attempt=1) for end in ends] == [None] * 4
    assert by_hand.everything() == before


def test_a_first_crash_is_run_again_at_once_and_a_second_later(by_hand: ByHand) -> None:
    job = gone(by_hand, budget=5)
    by_hand.rescue()
    first = by_hand.attempts(job)[-1]["finished_at"]
    assert by_hand.job(job)["run_at"] == first
    by_hand.claim(job, dispatch=2, worker="w1")
    by_hand.rescue()
    second = by_hand.attempts(job)[-1]["finished_at"]
    assert (by_hand.job(job)["run_at"] - second).total_seconds() == 1


def test_a_job_that_crashed_ever_so_often_waits_five_minutes(by_hand: ByHand) -> None:
    job = gone(by_hand, budget=5000)
    by_hand.take("UPDATE duly.jobs SET attempt = 4000 WHERE id = %(id)s", id=job)
    assert by_hand.rescue()[0]["state"] == "queued"
    crashed = by_hand.attempts(job)[-1]["finished_at"]
    assert (by_hand.job(job)["run_at"] - crashed).total_seconds() == 300


def test_a_crash_in_the_last_attempt_is_death(by_hand: ByHand) -> None:
    job = gone(by_hand, budget=1)
    assert by_hand.rescue()[0]["state"] == "dead"

    now, (letter,) = by_hand.job(job), by_hand.letters(job)
    assert (now["state"], now["dispatch"]) == ("dead", 1)
    assert now["finished_at"] is not None
    assert (letter["reason"], letter["error_type"], letter["dispatch"]) == (
        "crashed",
        "WorkerGone",
        1,
    )
    assert [attempt["outcome"] for attempt in by_hand.attempts(job)] == ["crashed"]
    assert by_hand.event(job) is None
    assert by_hand.close(transitions.REPLAY, letter["id"]) == [job]


def test_a_job_that_was_to_be_cancelled_is_not_run_again(by_hand: ByHand) -> None:
    job = gone(by_hand)
    by_hand.cancel(job)
    assert by_hand.rescue()[0]["state"] == "cancelled"
    assert by_hand.job(job)["state"] == "cancelled"
    assert by_hand.job(job)["finished_at"] is not None
    assert by_hand.event(job) is None
    assert by_hand.letters(job) == []


def test_two_rescuers_share_the_orphans(by_hand: ByHand, other_hand: ByHand) -> None:
    jobs = {by_hand.running(worker="nobody") for _ in range(10)}
    with by_hand.connection.transaction():
        first = by_hand.rescue()
        assert other_hand.rescue() == []
    assert {row["id"] for row in first} == jobs
    assert by_hand.rescue() == []


def test_only_names_of_workers_long_gone_are_forgotten(by_hand: ByHand) -> None:
    for worker, seconds in (("fresh", 0), ("silent", 3599), ("gone", 3601), ("stepped", 7200)):
        by_hand.beat(worker)
        by_hand.take(FALL_SILENT, name=worker, seconds=seconds)
    by_hand.take(transitions.PRUNE_WORKERS, silent=["silent", "gone"])
    assert [row["name"] for row in by_hand.everything()[-1]] == ["fresh", "silent", "stepped"]


def test_a_rescue_of_some_jobs_takes_no_other(by_hand: ByHand) -> None:
    one, other = gone(by_hand), gone(by_hand)
    assert [rescued["id"] for rescued in by_hand.rescue(one)] == [one]
    assert by_hand.job(other)["state"] == "running"
