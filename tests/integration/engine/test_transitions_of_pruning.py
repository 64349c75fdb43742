"""Which finished jobs go, which stay, and how far a step looks."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from outbox.store import transitions
from tests.protocol.stage import AS_THEY_LIE
from tests.support.engine.batches import Batches
from tests.support.engine.by_hand import ByHand, Row

DAY = timedelta(days=1)
ALL = timedelta(seconds=-1)
"""A retention that is over before a job has ended, so that the tests need not wait."""
NIL = UUID(int=0)
NEWEST_FIRST = """
INSERT INTO duly.jobs (id, kind, queue, priority, payload, state, attempt_limit, attempt_budget,
                       finished_at)
SELECT ('01800000000070008' || lpad(to_hex(n), 15, '0'))::uuid, 'test.note', 'q', 1, '{}',
       'succeeded', 3, 3, now() - %(ended)s
FROM generate_series(%(count)s, 1, -1) AS n
"""
FORGET_CALLBACKS = """
DELETE FROM duly.jobs WHERE id IN (SELECT job_id FROM duly.batch_callbacks WHERE batch_id = %(id)s)
"""
SETTLED_NEWEST_FIRST = """
INSERT INTO duly.batches (id, settled_at)
SELECT ('01800000000070008' || lpad(to_hex(n), 15, '0'))::uuid, now()
FROM generate_series(1200, 1, -1) AS n
"""
MEMBERS = "SELECT id FROM duly.jobs WHERE batch_id = %(id)s"
CALLBACK_JOBS = "SELECT job_id FROM duly.batch_callbacks ORDER BY job_id"
BY_AGE = "SELECT array_agg(id ORDER BY id) AS ids FROM duly.jobs"


def prune(hand: ByHand, retention: timedelta = ALL, after: UUID = NIL) -> Row | None:
    """How far a step walked, and how many jobs it deleted; None where there was none to look at."""
    taken = hand.take(transitions.PRUNE, retention=retention, after=after)
    return taken[0] if taken else None


def prune_batches(hand: ByHand, retention: timedelta = ALL, after: UUID = NIL) -> Row | None:
    """The same for batches."""
    taken = hand.take(transitions.PRUNE_BATCHES, retention=retention, after=after)
    return taken[0] if taken else None


def submitted_long_ago(hand: ByHand, jobs: int, *, ended: timedelta) -> list[UUID]:
    """So many jobs made in 2022 that succeeded so long ago, the oldest first."""
    hand.take(NEWEST_FIRST, count=jobs, ended=ended)
    ids: list[UUID] = hand.take(BY_AGE)[0]["ids"]
    return ids


def count(hand: ByHand, table: str = "jobs") -> int:
    """How many rows the table has."""
    found: int = hand.take(f"SELECT count(*) FROM duly.{table}")[0]["count"]
    return found


def test_what_succeeded_or_was_cancelled_goes_with_its_attempts_and_refusals(
    by_hand: ByHand,
) -> None:
    succeeded, cancelled = by_hand.running(), by_hand.submit()
    by_hand.retry(succeeded)
    by_hand.publish(succeeded, dispatch=2)
    by_hand.claim(succeeded, dispatch=2)
    assert by_hand.succeed(succeeded, dispatch=2, attempt=2)
    by_hand.put_off(cancelled)
    by_hand.cancel(cancelled)
    assert prune(by_hand) == {"walked_to": cancelled, "pruned": 2}
    assert [count(by_hand, table) for table in ("jobs", "attempts", "refusals")] == [0, 0, 0]


def test_what_has_not_ended_stays_however_old(by_hand: ByHand) -> None:
    waiting, running = by_hand.submit(), by_hand.running()
    failed = by_hand.running()
    by_hand.retry(failed, delay=3600)
    asked = by_hand.running()
    by_hand.cancel(asked)
    gone = by_hand.running()
    by_hand.succeed(gone)
    by_hand.put_off(waiting)
    before = {job: by_hand.job(job) for job in (waiting, running, failed, asked)}
    assert prune(by_hand) == {"walked_to": gone, "pruned": 1}
    assert {job: by_hand.job(job) for job in before} == before
    assert len(by_hand.attempts(failed)) == 1
    assert by_hand.refusal(waiting)


def test_what_ended_within_the_retention_stays(by_hand: ByHand) -> None:
    jobs = submitted_long_ago(by_hand, 3, ended=timedelta(hours=23))
    assert prune(by_hand, DAY) == {"walked_to": jobs[-1], "pruned": 0}
    assert prune(by_hand, timedelta(hours=22)) == {"walked_to": jobs[-1], "pruned": 3}


def test_a_job_younger_than_the_retention_is_not_even_walked(by_hand: ByHand) -> None:
    job = by_hand.running()
    by_hand.succeed(job)
    assert prune(by_hand, DAY) is None
    assert prune(by_hand, ALL) == {"walked_to": job, "pruned": 1}


@pytest.mark.parametrize("end", [transitions.REPLAY, transitions.DISCARD, None])
def test_a_job_that_ever_had_a_letter_stays_with_all_of_its_attempts(
    by_hand: ByHand, end: str | None
) -> None:
    job, letter = by_hand.dead()
    if end:
        by_hand.close(end, letter)
    if end == transitions.REPLAY:
        by_hand.publish(job, dispatch=2)
        by_hand.claim(job, dispatch=2)
        assert by_hand.succeed(job, dispatch=2, attempt=2)
    other = by_hand.running()
    by_hand.succeed(other)
    assert prune(by_hand) == {"walked_to": other, "pruned": 1}
    assert by_hand.job(job)
    assert (len(by_hand.attempts(job)), len(by_hand.letters(job))) == (1, 1)


def test_a_dead_job_stays_though_somebody_deleted_its_letter(by_hand: ByHand) -> None:
    job, _ = by_hand.dead()
    by_hand.take("DELETE FROM duly.dead_letters")
    assert prune(by_hand) == {"walked_to": job, "pruned": 0}


def test_a_walk_goes_by_age_a_thousand_jobs_at_a_step(by_hand: ByHand) -> None:
    jobs = submitted_long_ago(by_hand, 1500, ended=2 * DAY)
    by_hand.take("SET enable_indexscan = off")  # so that no plan has them in order by itself
    assert prune(by_hand, DAY) == {"walked_to": jobs[999], "pruned": 1000}
    assert by_hand.take(BY_AGE)[0]["ids"] == jobs[1000:]
    assert prune(by_hand, DAY, after=jobs[1199]) == {"walked_to": jobs[-1], "pruned": 300}
    assert prune(by_hand, DAY, after=jobs[-1]) is None
    assert count(by_hand) == 200


def test_what_another_relay_is_deleting_is_not_waited_for(
    by_hand: ByHand, other_hand: ByHand
) -> None:
    jobs = submitted_long_ago(by_hand, 1500, ended=2 * DAY)
    other_hand.take("SET lock_timeout = '2s'")
    with by_hand.connection.transaction():
        assert prune(by_hand, DAY) == {"walked_to": jobs[999], "pruned": 1000}
        assert prune(other_hand, DAY) == {"walked_to": jobs[999], "pruned": 0}
        assert prune(other_hand, DAY, after=jobs[999]) == {"walked_to": jobs[-1], "pruned": 500}
    assert count(by_hand) == 0


def test_a_step_reads_a_thousand_jobs_of_many_by_the_primary_key(by_hand: ByHand) -> None:
    jobs = submitted_long_ago(by_hand, 50_000, ended=2 * DAY)
    by_hand.take("ANALYZE duly.jobs, duly.attempts, duly.dead_letters")
    explain = "EXPLAIN (ANALYZE, BUFFERS off, TIMING off) " + transitions.PRUNE
    asked = {"retention": DAY, "after": jobs[20_000]}
    plan = "\n".join(row["QUERY PLAN"] for row in by_hand.take(explain, **asked))
    assert "Index Only Scan using jobs_pkey" in plan
    assert "Seq Scan on jobs" not in plan
    assert "Sort Key: jobs" not in plan
    assert count(by_hand) == 49_000


def test_members_stay_until_their_batch_has_settled_and_its_callbacks_have_ended(
    by_hand: ByHand, engine: Engine
) -> None:
    batches = Batches(engine, by_hand)
    group, jobs = batches.make(2)
    batches.end("succeeded", jobs[0])
    assert prune(by_hand) == {"walked_to": jobs[1], "pruned": 0}
    batches.end("succeeded", jobs[1])
    batches.fold()
    callbacks = [row["job_id"] for row in by_hand.take(CALLBACK_JOBS)]
    by_hand.cancel(callbacks[0])
    assert prune(by_hand) == {"walked_to": max(callbacks), "pruned": 1}
    assert prune_batches(by_hand) == {"walked_to": group, "pruned": 0}
    by_hand.cancel(callbacks[1])
    assert prune(by_hand) == {"walked_to": callbacks[1], "pruned": 3}
    assert prune_batches(by_hand, DAY) == {"walked_to": group, "pruned": 0}
    assert prune_batches(by_hand) == {"walked_to": group, "pruned": 1}
    assert count(by_hand, "batch_callbacks") == 0


def test_members_go_whatever_other_batches_wait_for(by_hand: ByHand, engine: Engine) -> None:
    batches = Batches(engine, by_hand)
    group, (job,) = batches.make(1)
    batches.end("succeeded", job)
    batches.fold()
    by_hand.take("UPDATE duly.jobs SET state = 'cancelled', finished_at = now()")
    batches.make(1)
    batches.make()
    batches.fold()
    taken = prune(by_hand)
    assert taken
    assert taken["pruned"] == 3
    assert by_hand.take(MEMBERS, id=group) == []


def test_batches_are_walked_by_age_a_thousand_at_a_step(by_hand: ByHand) -> None:
    by_hand.take(SETTLED_NEWEST_FIRST)
    ids = by_hand.take("SELECT array_agg(id ORDER BY id) AS ids FROM duly.batches")[0]["ids"]
    by_hand.take(AS_THEY_LIE)
    assert prune_batches(by_hand) == {"walked_to": ids[999], "pruned": 1000}
    assert prune_batches(by_hand, after=ids[999]) == {"walked_to": ids[-1], "pruned": 200}


def test_a_batch_stays_while_there_is_one_of_its_jobs_or_batches(
    by_hand: ByHand, engine: Engine
) -> None:
    batches = Batches(engine, by_hand)
    parent, _ = batches.make(seal=False)
    _, (dead,) = batches.make(1, within=parent)
    growing, _ = batches.make(seal=False)
    batches.seal(parent)
    batches.end("dead", dead)
    batches.fold()
    by_hand.take("DELETE FROM duly.jobs WHERE id <> %(id)s", id=dead)
    assert prune_batches(by_hand) == {"walked_to": growing, "pruned": 0}
    by_hand.take("DELETE FROM duly.jobs")
    assert prune_batches(by_hand) == {"walked_to": growing, "pruned": 1}
    assert prune_batches(by_hand) == {"walked_to": growing, "pruned": 1}
    assert [row["id"] for row in by_hand.take("SELECT id FROM duly.batches")] == [growing]


def test_a_batch_stays_while_there_is_one_of_its_own_callbacks(
    by_hand: ByHand, engine: Engine
) -> None:
    batches = Batches(engine, by_hand)
    (first, _), (second, _) = batches.make(), batches.make()
    batches.fold()
    by_hand.take(FORGET_CALLBACKS, id=first)
    assert prune_batches(by_hand, after=first) == {"walked_to": second, "pruned": 0}
    assert prune_batches(by_hand) == {"walked_to": second, "pruned": 1}
    left = by_hand.take("SELECT DISTINCT batch_id FROM duly.batch_callbacks")
    assert left == [{"batch_id": second}]
    assert batches.row(second)
