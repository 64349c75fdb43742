"""Jobs that have not begun by their `expires_at`."""

import psycopg
from psycopg.rows import tuple_row

from outbox.store import transitions
from tests.support.engine.by_hand import ByHand

WHY = "it had not begun by expires_at"
EXPIRE_IT = "UPDATE duly.jobs SET expires_at = now() WHERE id = %(id)s"


def test_a_job_that_has_not_begun_in_time_is_cancelled_with_why(by_hand: ByHand) -> None:
    job = by_hand.submit(expires_at="yesterday")
    assert by_hand.expire() == [{"id": job, "kind": "test.note", "cancel_reason": WHY}]
    now = by_hand.job(job)
    assert (now["state"], now["cancel_reason"], now["cancel_requested_at"]) == (
        "cancelled", WHY, None,
    )  # fmt: skip
    assert now["finished_at"] is not None
    assert by_hand.event(job) is None
    assert by_hand.expire() == []


def test_one_whose_message_waits_in_the_broker_does_not_begin(by_hand: ByHand) -> None:
    job = by_hand.submit(expires_at="yesterday")
    by_hand.publish(job)
    assert by_hand.claim(job) is None
    assert [row["id"] for row in by_hand.expire()] == [job]
    assert by_hand.claim(job) is None


def test_one_that_still_has_time_begins_and_one_that_runs_does_not_expire(
    by_hand: ByHand,
) -> None:
    job = by_hand.submit(expires_at="tomorrow")
    assert by_hand.expire() == []
    assert by_hand.claim(job)
    by_hand.take(EXPIRE_IT, id=job)
    assert by_hand.expire() == []
    assert by_hand.claim(job), "its worker asks again, as the answer was lost"
    assert by_hand.succeed(job)


def test_what_has_begun_does_not_expire_while_it_waits_for_another_attempt(
    by_hand: ByHand,
) -> None:
    retried, snoozed = (by_hand.running() for _ in range(2))
    for job in (retried, snoozed):
        by_hand.take(EXPIRE_IT, id=job)
    by_hand.retry(retried)
    by_hand.snooze(snoozed)
    assert by_hand.expire() == []
    assert by_hand.claim(retried, 2)
    assert by_hand.claim(snoozed, 2)


def test_what_has_ended_stays_as_it_is(by_hand: ByHand) -> None:
    cancelled = by_hand.submit(expires_at="tomorrow")
    by_hand.cancel(cancelled)
    by_hand.take(EXPIRE_IT, id=cancelled)
    before = by_hand.everything()
    assert by_hand.expire() == []
    assert by_hand.everything() == before
    assert by_hand.job(cancelled)["cancel_reason"] == "mended"


def test_a_replayed_job_no_longer_expires(by_hand: ByHand) -> None:
    job = by_hand.submit(expires_at="yesterday")
    by_hand.bury(job)
    by_hand.close(transitions.REPLAY, by_hand.letters(job)[0]["id"])
    assert by_hand.job(job)["expires_at"] is None
    assert by_hand.expire() == []
    assert by_hand.claim(job, 2)


def test_only_those_that_are_asked_for(by_hand: ByHand) -> None:
    job, other = (by_hand.submit(expires_at="yesterday") for _ in range(2))
    assert [row["id"] for row in by_hand.expire(job)] == [job]
    assert by_hand.job(other)["state"] == "queued"


def test_one_that_somebody_has_locked_holds_the_others_up_no_more_than_itself(
    by_hand: ByHand, database_url: str
) -> None:
    held, other = (by_hand.submit(expires_at="yesterday") for _ in range(2))
    by_hand.take("SET lock_timeout = '2s'")
    with psycopg.connect(database_url, row_factory=tuple_row) as relay:
        relay.execute("SELECT FROM duly.jobs WHERE id = %s FOR UPDATE", [held])
        assert [row["id"] for row in by_hand.expire()] == [other]
    assert [row["id"] for row in by_hand.expire()] == [held]


def test_the_backlog_is_not_read_for_it(by_hand: ByHand) -> None:
    by_hand.take("""
        INSERT INTO duly.jobs
            (id, kind, queue, priority, payload, attempt_limit, attempt_budget, expires_at)
        SELECT gen_random_uuid(), 'test.note', 'q', 1, '{}', 3, 3,
               CASE WHEN n <= 10 THEN now() + interval '1 day' END
        FROM generate_series(1, 5000) AS n
    """)
    by_hand.take("VACUUM ANALYZE duly.jobs")
    plan = "\n".join(
        row["QUERY PLAN"] for row in by_hand.take("EXPLAIN " + transitions.EXPIRE, only=None)
    )
    assert "jobs_expiring" in plan
    assert "Seq Scan on jobs" not in plan
