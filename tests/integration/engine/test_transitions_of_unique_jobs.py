"""Jobs of unique kinds: who holds a key, for how long, and what becomes of a second submission."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from outbox.store import transitions
from tests.support.engine.by_hand import KIND, WAITING, ByHand
from tests.support.engine.unique_by_hand import UniqueByHand
from tests.support.wait import wait_for

SOON = "SELECT available_at - now() AS ahead FROM duly.outbox_events WHERE job_id = %(id)s"
EXPIRE_IT = "UPDATE duly.jobs SET expires_at = now() - interval '1 s' WHERE id = %(id)s"
WITHIN: dict[str, Any] = {"until": "period", "within_seconds": 60}
DEBOUNCED: dict[str, Any] = {"debounce_seconds": 10, "cap_seconds": 60}
Aside = Callable[..., Future[Any]]


EACH_CLAIM = pytest.mark.parametrize(
    "unique", ["CLAIM_UNIQUE", "CLAIM_UNIQUE_RATED"], indirect=True
)
"""For tests of what a claim does: by each of those that know of unique jobs."""


@pytest.fixture
def unique(request: pytest.FixtureRequest, by_hand: ByHand) -> UniqueByHand:
    """Takes the steps of jobs of unique kinds. One that waits too long for a lock fails."""
    by_hand.take("SET lock_timeout = '5s'")
    step = getattr(request, "param", "CLAIM_UNIQUE")
    return UniqueByHand(by_hand, getattr(transitions, step))


@pytest.fixture
def other(database_url: str) -> Iterator[UniqueByHand]:
    """Another session, which commits when told so."""
    with psycopg.connect(database_url) as connection:
        yield UniqueByHand(ByHand(connection))
        connection.rollback()


@pytest.fixture
def aside(database_url: str, other: UniqueByHand) -> Iterator[Aside]:
    """Takes a step on a thread, once it is known to wait for a lock."""
    with psycopg.connect(database_url, autocommit=True) as watch, ThreadPoolExecutor() as threads:

        def start(step: Callable[..., Any], *arguments: Any, **options: Any) -> Future[Any]:
            before = watch.execute(WAITING).rowcount
            future = threads.submit(step, *arguments, **options)
            wait_for("one more who waits", lambda: watch.execute(WAITING).rowcount > before)
            assert not future.done()
            return future

        yield start
        watch.execute(WAITING.replace("pid", "pg_terminate_backend(pid)", 1))


def ids(by_hand: ByHand) -> list[UUID]:
    """All jobs, in order."""
    return [row["id"] for row in by_hand.take("SELECT id FROM duly.jobs ORDER BY id")]


def test_a_second_submission_is_the_first_job(by_hand: ByHand, unique: UniqueByHand) -> None:
    first = unique.new(payload='{"n": 1}')
    before = by_hand.everything()
    assert unique.holder(payload='{"n": 2}') == first
    assert by_hand.everything() == before
    assert by_hand.job(first)["payload"] == {"n": 1}
    event = by_hand.event(first)
    assert event
    assert (event["dispatch"], event["available_at"]) == (1, by_hand.job(first)["run_at"])


def test_other_keys_and_other_kinds_are_other_jobs(by_hand: ByHand, unique: UniqueByHand) -> None:
    jobs = [unique.new("a"), unique.new("b"), unique.new("a", kind="other.kind")]
    assert ids(by_hand) == jobs


def test_each_of_many_is_told_its_own(by_hand: ByHand, unique: UniqueByHand) -> None:
    held = unique.new("b")
    a, b, c = unique.submit_all(c={}, b={}, a={})
    assert a[0] == a[1]
    assert b[1] == held
    assert c[0] == c[1]
    assert ids(by_hand) == sorted([held, a[0], c[0]])


def test_a_job_keeps_what_it_was_submitted_with(by_hand: ByHand, unique: UniqueByHand) -> None:
    later = datetime(2100, 1, 1, tzinfo=UTC)
    job = unique.new(
        run_at=later.isoformat(),
        expires_at="2101-01-01T00:00:00Z",
        priority=2,
        subject="s",
        submitted_by="ann",
        budget=7,
    )
    now, event = by_hand.job(job), by_hand.event(job)
    assert event
    assert (now["run_at"], event["available_at"], event["priority"]) == (later, later, 2)
    assert (now["subject"], now["submitted_by"], now["attempt_limit"], now["attempt_budget"]) == (
        "s", "ann", 7, 7,
    )  # fmt: skip
    assert now["expires_at"] == datetime(2101, 1, 1, tzinfo=UTC)


# --- until it has started


@EACH_CLAIM
def test_the_start_gives_the_key_back_and_a_retry_does_not_take_it(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    first = unique.running()
    assert unique.held() == []
    by_hand.retry(first)
    second = unique.new()
    assert unique.claim(first, 2)
    assert unique.holder() == second
    assert by_hand.succeed(first, 2, 2)
    assert unique.held() == [("k", second)]


@EACH_CLAIM
def test_a_claim_is_fenced_as_that_of_other_kinds(by_hand: ByHand, unique: UniqueByHand) -> None:
    job = unique.new()
    before = by_hand.everything(), unique.held()
    assert unique.claim(job, dispatch=2) is None
    assert unique.claim_all(job, kinds=["other.kind"]) == []
    assert (by_hand.everything(), unique.held()) == before
    claim = unique.claim(job)
    assert claim
    assert (claim["n"], claim["attempt"], claim["payload"]) == (1, 1, {})
    assert unique.claim(job, worker="w2") is None
    again = unique.claim(job)
    assert again
    assert again["attempt"] == 1
    late, early = unique.new("late"), unique.new("early")
    by_hand.take(EXPIRE_IT, id=late)
    by_hand.take("UPDATE duly.jobs SET run_at = now() + interval '1 h' WHERE id = %(id)s", id=early)
    assert (unique.claim(late), unique.claim(early)) == (None, None)


def test_one_with_keys_of_another_sort_is_claimed_once_it_was_admitted(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    job, other = unique.new("a"), unique.new("b")
    assert by_hand.job(job)["position"] is None
    by_hand.take("UPDATE duly.jobs SET keys = '{limited}'")
    admit = "INSERT INTO duly.key_holders VALUES ('limited', %(id)s, %(dispatch)s)"
    for holder, dispatch in ((other, 1), (job, 2)):
        by_hand.take(admit, id=holder, dispatch=dispatch)
        assert unique.claim(job) is None
    by_hand.take("UPDATE duly.key_holders SET dispatch = 1")
    assert unique.claim(job)


@EACH_CLAIM
def test_a_lock_on_a_key_that_is_held_longer_keeps_no_job_from_starting(
    unique: UniqueByHand, other_hand: ByHand
) -> None:
    job = unique.new(until="ended")
    with other_hand.connection.transaction():
        other_hand.take("SELECT FROM duly.unique_keys FOR UPDATE")
        assert unique.claim(job)


@EACH_CLAIM
def test_only_the_keys_of_the_claimed_jobs_are_given_back(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    a, b, stale = unique.new("a"), unique.new("b"), unique.new("c")
    assert unique.claim_all(stale, a, dispatches=[7, 1]) == [2]
    assert unique.held() == [("b", b), ("c", stale)]


@EACH_CLAIM
@pytest.mark.parametrize("until", ["ended", "period"])
def test_a_key_that_is_held_longer_stays_when_the_job_starts(
    unique: UniqueByHand, until: str
) -> None:
    job = unique.new(until=until)
    assert unique.claim(job)
    assert unique.holder() == job


def test_a_job_claimed_by_a_worker_that_does_not_know_of_keys_lets_go(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    first = unique.new()
    assert by_hand.claim(first)
    second = unique.new()
    by_hand.retry(first)
    assert unique.holder() == second


def test_a_job_that_is_queued_again_although_it_had_started_lets_go(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    first = unique.new()
    assert by_hand.claim(first)
    by_hand.snooze(first)
    assert unique.new() != first


# --- until it has ended


def test_until_it_has_ended_the_job_holds_its_key_through_retries(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    job = unique.new(until="ended")
    assert by_hand.claim(job)
    assert unique.holder() == job
    by_hand.retry(job)
    assert unique.holder() == job
    assert by_hand.claim(job, 2)
    by_hand.snooze(job, 2, 2)
    assert unique.holder() == job
    assert by_hand.claim(job, 3)
    by_hand.take("DELETE FROM duly.workers")
    assert by_hand.rescue(job)
    assert unique.holder() == job
    by_hand.take("UPDATE duly.jobs SET run_at = now()")
    assert by_hand.claim(job, 4)
    assert by_hand.succeed(job, 4, 3)
    assert unique.new(until="ended") != job


def test_a_dead_job_lets_go_and_a_replay_takes_its_key_again_if_nobody_else_has(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    for key, until in (("a", "started"), ("b", "ended")):
        job = unique.new(key, until=until)
        by_hand.bury(job)
        assert unique.prune() == 0
        by_hand.close(transitions.REPLAY, by_hand.letters(job)[0]["id"])
        assert unique.holder(key) == job
    job = unique.new("c", until="ended")
    by_hand.bury(job)
    second = unique.new("c", until="ended")
    by_hand.close(transitions.REPLAY, by_hand.letters(job)[0]["id"])
    assert unique.holder("c") == second
    assert unique.claim(job, 2)


@pytest.mark.parametrize("until", ["started", "ended", "period"])
def test_a_cancelled_job_lets_go(by_hand: ByHand, unique: UniqueByHand, until: str) -> None:
    first = unique.new(until=until, within_seconds=60 if until == "period" else None)
    by_hand.cancel(first)
    assert unique.new() != first


@pytest.mark.parametrize("until", ["ended", "period"])
def test_a_running_job_lets_go_as_soon_as_somebody_asks_to_cancel_it(
    by_hand: ByHand, unique: UniqueByHand, until: str
) -> None:
    first = unique.new(until=until)
    assert by_hand.claim(first)
    by_hand.cancel(first)
    assert unique.new() != first


def test_one_that_succeeds_all_the_same_holds_its_key_for_its_period(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    first = unique.new(**WITHIN)
    assert by_hand.claim(first)
    by_hand.cancel(first)
    assert by_hand.succeed(first)
    assert unique.holder() == first


@pytest.mark.parametrize("until", ["started", "ended", "period"])
def test_a_job_that_has_expired_lets_go_before_anybody_cancels_it(
    by_hand: ByHand, unique: UniqueByHand, until: str
) -> None:
    first = unique.new(until=until, expires_at="2100-01-01T00:00:00Z")
    assert unique.holder() == first
    by_hand.take(EXPIRE_IT, id=first)
    second = unique.new(until=until)
    by_hand.expire()
    assert unique.holder() == second


def test_one_that_has_begun_in_time_does_not_let_go(by_hand: ByHand, unique: UniqueByHand) -> None:
    first = unique.new(until="ended", expires_at="2100-01-01T00:00:00Z")
    assert by_hand.claim(first)
    by_hand.take(EXPIRE_IT, id=first)
    assert unique.holder() == first
    by_hand.snooze(first)
    assert unique.holder() == first


# --- for a period


def test_for_a_period_the_key_is_held_whatever_becomes_of_the_job(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    for end in (by_hand.succeed, by_hand.die):
        job = unique.new(end.__name__, **WITHIN)
        assert by_hand.claim(job)
        assert end(job)
        unique.pass_time(59)
        assert unique.holder(end.__name__, **WITHIN) == job
        unique.pass_time(2)
        second = unique.new(end.__name__, **WITHIN)
        unique.pass_time(59)
        assert unique.holder(end.__name__, **WITHIN) == second


def test_who_becomes_the_job_does_not_change_how_long_it_holds_the_key(
    unique: UniqueByHand,
) -> None:
    first = unique.new(**WITHIN)
    assert unique.holder(until="ended") == first
    unique.pass_time(61)
    assert unique.new() != first


def test_a_key_taken_over_is_held_as_its_new_job_says(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    by_hand.cancel(unique.new(**WITHIN))
    second = unique.new(until="ended")
    unique.pass_time(61)
    assert unique.holder(**WITHIN) == second
    assert by_hand.claim(second)
    assert by_hand.succeed(second)
    assert unique.new() != second


# --- debounce


def test_a_debounced_job_waits_and_has_the_newest_payload(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    job = unique.new(payload='{"n": 1}', **DEBOUNCED)
    first = by_hand.job(job)
    assert first["run_at"] - first["created_at"] == timedelta(seconds=10)
    by_hand.publish(job)
    expires = "2100-01-01T00:00:00+00:00"
    assert unique.holder(payload='{"n": 2}', expires_at=expires, **DEBOUNCED) == job
    now, event = by_hand.job(job), by_hand.event(job)
    assert event
    assert (now["payload"], now["dispatch"], event["dispatch"]) == ({"n": 2}, 2, 2)
    assert event["priority"] == 1
    assert now["expires_at"].isoformat() == expires
    assert event["available_at"] == now["run_at"] > first["run_at"]
    assert unique.claim(job, 1) is None


def test_it_waits_no_longer_than_the_cap_and_is_never_earlier(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    job = unique.new(**DEBOUNCED)
    unique.pass_time(55)
    unique.holder(**DEBOUNCED)
    capped = by_hand.job(job)
    assert capped["run_at"] - capped["created_at"] == timedelta(seconds=10)
    later = datetime.now(UTC) + timedelta(days=1)
    assert unique.holder(run_at=later.isoformat(), **DEBOUNCED) == job
    assert by_hand.job(job)["run_at"] == capped["run_at"]
    far = unique.new("far", run_at=later.isoformat(), **DEBOUNCED)
    unique.holder("far", **DEBOUNCED)
    assert by_hand.job(far)["run_at"] == later


def test_the_later_time_of_a_debounced_job_counts(by_hand: ByHand, unique: UniqueByHand) -> None:
    job = unique.new(**DEBOUNCED)
    later = by_hand.job(job)["run_at"] + timedelta(seconds=20)
    unique.holder(run_at=later.isoformat(), **DEBOUNCED)
    assert by_hand.job(job)["run_at"] == later


def test_a_replayed_job_keeps_its_level_when_it_is_debounced(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    job = unique.new(**DEBOUNCED)
    by_hand.take("UPDATE duly.jobs SET run_at = now() WHERE id = %(id)s", id=job)
    by_hand.bury(job)
    by_hand.close(transitions.REPLAY, by_hand.letters(job)[0]["id"])
    by_hand.publish(job, 2)
    assert unique.holder(**DEBOUNCED) == job
    event = by_hand.event(job)
    assert event
    assert event["priority"] == 1 + transitions.REPLAYED


def test_a_job_that_runs_is_not_debounced(by_hand: ByHand, unique: UniqueByHand) -> None:
    job = unique.new(until="ended", payload='{"n": 1}')
    assert by_hand.claim(job)
    assert unique.holder(payload='{"n": 2}', **DEBOUNCED) == job
    assert by_hand.job(job)["payload"] == {"n": 1}
    assert by_hand.job(job)["dispatch"] == 1


def test_others_are_not_debounced(by_hand: ByHand, unique: UniqueByHand) -> None:
    a, b = unique.new("a", payload='{"n": 1}'), unique.new("b", **DEBOUNCED)
    of_other_kind = unique.new("b", kind="other.kind", **DEBOUNCED)
    unique.submit_all(a={"payload": '{"n": 2}'}, b=DEBOUNCED)
    assert (by_hand.job(a)["payload"], by_hand.job(a)["dispatch"]) == ({"n": 1}, 1)
    assert by_hand.job(b)["dispatch"] == 2
    assert by_hand.job(of_other_kind)["dispatch"] == 1


# --- at once


def test_the_second_waits_for_the_first_to_commit_and_is_its_job(
    by_hand: ByHand, unique: UniqueByHand, other: UniqueByHand, aside: Aside
) -> None:
    first = other.new(until="ended")
    second = aside(unique.submit, until="ended")
    other.by_hand.connection.commit()
    assert second.result(10)[1] == first
    assert ids(by_hand) == [first]


def test_if_the_first_rolls_back_the_second_is_the_job(
    by_hand: ByHand, unique: UniqueByHand, other: UniqueByHand, aside: Aside
) -> None:
    other.new()
    second = aside(unique.submit)
    other.by_hand.connection.rollback()
    job, holder = second.result(10)
    assert job == holder
    assert ids(by_hand) == [job]
    assert unique.held() == [("k", job)]


def test_a_debounce_changes_a_job_that_was_committed_while_it_waited(
    by_hand: ByHand, unique: UniqueByHand, other: UniqueByHand, aside: Aside
) -> None:
    first = other.new(payload='{"n": 1}', **DEBOUNCED)
    second = aside(unique.submit, payload='{"n": 2}', **DEBOUNCED)
    other.by_hand.connection.commit()
    assert second.result(10)[1] == first
    assert by_hand.job(first)["payload"] == {"n": 2}


def test_two_that_take_the_same_keys_in_other_orders_do_not_deadlock(
    by_hand: ByHand, unique: UniqueByHand, other: UniqueByHand, aside: Aside, database_url: str
) -> None:
    with psycopg.connect(database_url) as connection:
        UniqueByHand(ByHand(connection)).new("c")
        one = aside(other.submit_all, a={}, c={}, b={})  # waits for c, and has a and b by then
        another = aside(unique.submit_all, b={}, a={})  # waits for a, and has nothing
        connection.rollback()
        assert one.result(10)
    other.by_hand.connection.commit()
    assert another.result(10)
    assert len(ids(by_hand)) == 3


@EACH_CLAIM
def test_a_job_does_not_start_while_somebody_becomes_it(
    by_hand: ByHand, unique: UniqueByHand, other: UniqueByHand
) -> None:
    job, free, bystander = (unique.new(key) for key in ("k", "free", "bystander"))
    by_hand.publish(job)
    assert other.holder() == job
    assert unique.claim_all(job, free, bystander, dispatches=[1, 1, 2]) == [2]

    now, event = by_hand.job(job), by_hand.event(job)
    assert event
    assert (now["state"], now["attempt"], now["dispatch"]) == ("queued", 0, 2)
    assert (event["dispatch"], event["queue"], event["priority"]) == (2, "q", 1)
    assert by_hand.job(bystander)["dispatch"] == 1
    (soon,) = by_hand.take(SOON, id=job)
    assert timedelta() < soon["ahead"] <= timedelta(seconds=0.1)
    assert unique.claim(job, 2) is None
    other.by_hand.connection.commit()
    assert unique.claim(job, 3)
    assert by_hand.attempts(job) == []
    assert unique.held() == [("bystander", bystander)]


@EACH_CLAIM
def test_after_it_was_to_start_nobody_becomes_it_any_more(
    by_hand: ByHand, unique: UniqueByHand, other: UniqueByHand
) -> None:
    job = unique.new(expires_at="2100-01-01T00:00:00Z")
    other.holder()
    assert unique.claim(job) is None
    started = by_hand.job(job)["started_at"]
    assert started
    assert unique.claim(job, 2) is None
    assert by_hand.job(job)["started_at"] == started
    other.by_hand.connection.rollback()
    second = unique.new()
    by_hand.take(EXPIRE_IT, id=job)
    assert by_hand.expire() == []
    assert unique.claim(job, 3)
    assert unique.held() == [("k", second)]


@EACH_CLAIM
def test_a_stale_message_does_not_put_a_locked_job_off(
    by_hand: ByHand, unique: UniqueByHand, other: UniqueByHand
) -> None:
    job, early, late, run = (unique.new(key) for key in ("stale", "early", "late", "run"))
    by_hand.take("UPDATE duly.jobs SET run_at = now() + interval '1 h' WHERE id = %(id)s", id=early)
    by_hand.take(EXPIRE_IT, id=late)
    assert by_hand.claim(run)
    other.submit_all(stale={}, early={}, late={}, run={})
    before = by_hand.everything()
    asked, kinds = [job, job, early, late, run], [KIND, "other.kind", KIND, KIND, KIND]
    assert unique.claim_all(*asked, dispatches=[2, 1, 1, 1, 1], kinds=kinds) == []
    assert by_hand.everything() == before


@EACH_CLAIM
def test_a_job_that_is_being_debounced_waits_for_nobody_and_is_left_to_that(
    by_hand: ByHand, unique: UniqueByHand, other: UniqueByHand
) -> None:
    job = unique.new(**DEBOUNCED)
    by_hand.take("UPDATE duly.jobs SET run_at = now() WHERE id = %(id)s", id=job)
    by_hand.publish(job)
    other.holder(payload='{"n": 2}', **DEBOUNCED)
    assert unique.claim(job) is None
    other.by_hand.connection.commit()
    assert by_hand.job(job)["payload"] == {"n": 2}
    event = by_hand.event(job)
    assert event
    assert event["dispatch"] == 2


def test_who_submits_waits_for_a_claim_and_is_a_new_job(
    unique: UniqueByHand, other: UniqueByHand, aside: Aside
) -> None:
    job = unique.new()
    assert other.claim(job)
    second = aside(unique.submit)
    other.by_hand.connection.commit()
    new, holder = second.result(10)
    assert new == holder != job


def test_a_key_that_is_being_taken_over_keeps_nobody_from_starting_for_long(
    by_hand: ByHand, unique: UniqueByHand, other: UniqueByHand
) -> None:
    job = unique.new()
    other.holder()
    assert unique.claim(job) is None
    other.by_hand.connection.commit()
    second = other.new()
    assert unique.claim(job, 2) is None
    other.by_hand.connection.commit()
    assert unique.claim(job, 3)
    assert unique.holder() == second


def test_a_claim_reads_the_keys_of_its_jobs_only(by_hand: ByHand, unique: UniqueByHand) -> None:
    by_hand.take("""
        INSERT INTO duly.unique_keys (kind, key, job_id, until)
        SELECT 'test.note', n::text, gen_random_uuid(), 'started' FROM generate_series(1, 5000) AS n
    """)
    by_hand.take("VACUUM ANALYZE duly.unique_keys")
    row = {"id": [unique.new()], "dispatch": [1], "kind": [KIND], "worker": "w1"}
    explain = by_hand.take(f"EXPLAIN {transitions.CLAIM_UNIQUE}", **row)
    plan = "\n".join(each["QUERY PLAN"] for each in explain)
    assert plan.count("unique_keys_by_job") >= 3
    assert plan.count("ANY") >= 3, "the keys twice, and the jobs, by their ids even in a kept plan"
    assert "Seq Scan on unique_keys" not in plan


# --- pruning


def test_keys_that_nobody_holds_are_deleted(by_hand: ByHand, unique: UniqueByHand) -> None:
    kept = [unique.new("a"), unique.new("b", until="ended"), unique.new("c", **WITHIN)]
    by_hand.claim(kept[1])
    by_hand.claim(kept[2])
    by_hand.succeed(kept[2])
    ended = unique.new("d", until="ended")
    by_hand.claim(ended)
    by_hand.succeed(ended)
    by_hand.cancel(unique.new("e"))
    kept.append(unique.new("d", kind="other.kind"))
    begun = unique.new("f", until="ended", expires_at="2100-01-01T00:00:00Z")
    by_hand.claim(begun)
    by_hand.snooze(begun)
    by_hand.take(EXPIRE_IT, id=begun)
    kept.append(begun)
    assert unique.prune() == 2
    assert unique.held() == [*zip("abcdf", kept, strict=True)]
    unique.pass_time(61)
    assert unique.prune() == 1
    del kept[2]
    assert unique.held() == [*zip("abdf", kept, strict=True)]


def test_the_open_letter_of_another_job_keeps_no_key(by_hand: ByHand, unique: UniqueByHand) -> None:
    closed, still_open = (unique.new(key, until="ended") for key in "ab")
    for job in (closed, still_open):
        by_hand.bury(job)
    by_hand.close(transitions.DISCARD, by_hand.letters(closed)[0]["id"])
    assert unique.prune() == 1
    assert unique.held() == [("b", still_open)]


def test_the_key_of_a_job_that_somebody_deleted_by_hand_is_deleted(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    gone = unique.new()
    by_hand.take("DELETE FROM duly.jobs")
    other = unique.new("other")
    assert unique.holder() == gone, "a job that is not seen counts as newer"
    assert unique.prune() == 1
    assert unique.held() == [("other", other)]
    assert unique.new() != gone


def test_a_key_that_somebody_locks_is_left_for_the_next_time(
    by_hand: ByHand, unique: UniqueByHand, other: UniqueByHand
) -> None:
    by_hand.cancel(unique.new())
    second = other.new()
    assert unique.prune() == 0
    other.by_hand.connection.commit()
    assert unique.prune() == 0
    assert unique.held() == [("k", second)]


def test_pruning_goes_on_after_the_last_job_and_ends(unique: UniqueByHand) -> None:
    assert unique.by_hand.take(transitions.PRUNE_UNIQUE_KEYS, after=UUID(int=0)) == []
    jobs = sorted(unique.new(key) for key in "abc")
    (walked,) = unique.by_hand.take(transitions.PRUNE_UNIQUE_KEYS, after=UUID(int=0))
    assert (walked["walked_to"], walked["pruned"]) == (jobs[-1], 0)
    assert unique.by_hand.take(transitions.PRUNE_UNIQUE_KEYS, after=jobs[-1]) == []
    unique.by_hand.take("UPDATE duly.jobs SET state = 'cancelled'")
    (walked,) = unique.by_hand.take(transitions.PRUNE_UNIQUE_KEYS, after=jobs[1])
    assert walked["pruned"] == 1


def test_a_thousand_keys_are_looked_at_in_the_order_of_their_jobs(
    by_hand: ByHand, unique: UniqueByHand
) -> None:
    by_hand.take("""
        INSERT INTO duly.unique_keys (kind, key, job_id, until)
        SELECT 'test.note', n::text, gen_random_uuid(), 'started' FROM generate_series(1, 1500) AS n
    """)
    jobs = sorted(job for _, job in unique.held())
    by_hand.take("SET enable_indexscan = off")  # so that no plan has them in order by itself
    by_hand.take("SET enable_bitmapscan = off")
    (walked,) = by_hand.take(transitions.PRUNE_UNIQUE_KEYS, after=UUID(int=0))
    assert (walked["walked_to"], walked["pruned"]) == (jobs[999], 1000)


def test_a_job_with_a_key_is_not_pruned(by_hand: ByHand, unique: UniqueByHand) -> None:
    job = unique.new(**WITHIN)
    by_hand.claim(job)
    by_hand.succeed(job)
    unique.new("other")
    asked = {"after": UUID(int=0), "retention": timedelta(days=-1)}
    assert by_hand.take(transitions.PRUNE, **asked)[0]["pruned"] == 0
    unique.pass_time(61)
    assert unique.prune() == 1
    assert by_hand.take(transitions.PRUNE, **asked)[0]["pruned"] == 1
