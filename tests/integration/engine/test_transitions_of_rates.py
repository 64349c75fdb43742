"""Permits of keys, taken one statement at a time."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Rate
from outbox.operations.flow import key_limits
from outbox.operations.flow.key_limits import NotSet
from outbox.store import transitions
from tests.protocol.stage import AS_THEY_LIE
from tests.support.engine.by_hand import WAITING, ByHand
from tests.support.engine.rated import Rated
from tests.support.engine.unique_by_hand import UniqueByHand
from tests.support.wait import wait_for

MINUTES = Rate(1, per=timedelta(minutes=1), burst=3)
"""One a minute, of which three are kept."""
ONE = Rate(1, per=timedelta(minutes=1), burst=1)
HOURS = Rate(1, per=timedelta(hours=1), burst=1)
IN_AN_HOUR = "UPDATE duly.jobs SET run_at = now() + interval '1 h' WHERE id = %(id)s"
EXPIRED = "UPDATE duly.jobs SET expires_at = now() WHERE id = %(id)s"
LOCK = "SELECT FROM duly.key_clocks WHERE key = %(key)s FOR UPDATE"
FREE = "SELECT key FROM duly.key_clocks WHERE key = %(key)s FOR UPDATE SKIP LOCKED"

Aside = Callable[..., Future[Any]]


@pytest.fixture(params=["CLAIM_RATED", "CLAIM_UNIQUE_RATED"])
def rated(request: pytest.FixtureRequest, by_hand: ByHand) -> Rated:
    return Rated(by_hand, request.param)


@pytest.fixture
def aside(database_url: str) -> Iterator[Aside]:
    """Takes a step in a thread, once it waits for a lock."""
    looking = psycopg.connect(database_url, autocommit=True)
    with looking, ThreadPoolExecutor(1) as thread:

        def start(step: Callable[..., Any], *arguments: Any, **options: Any) -> Future[Any]:
            future = thread.submit(step, *arguments, **options)
            waits = partial(looking.execute, WAITING)
            wait_for("it to wait", lambda: future.done() or waits().fetchone(), 10)
            assert not future.done()
            return future

        yield start


def near(*seconds: float) -> Any:
    """About so many seconds: the test itself takes some."""
    return [pytest.approx(each, abs=5) for each in seconds]


def test_what_is_over_goes_back_until_its_permit_is_there_and_spends_no_attempt(
    rated: Rated,
) -> None:
    jobs = rated.many(5, "a")
    rows = rated.claimed(MINUTES, *reversed(jobs))
    assert sorted(row["n"] for row in rows) == [1, 2, 3]
    assert {row["attempt"] for row in rows} == {1}
    assert rated.waits(jobs[1], jobs[0]) == near(60, 120)
    for job in jobs[:2]:
        row = rated.hand.job(job)
        assert (row["state"], row["dispatch"], row["attempt"]) == ("queued", 2, 0)
        assert (rated.event(job)["keys"], rated.event(job)["dispatch"]) == (["a"], 2)
    assert [ahead for ahead, _ in rated.clocks().values()] == near(180)
    assert rated.keyed.count("a") == {"a": 3}


def test_permits_come_evenly_spaced_and_a_burst_of_them_is_kept(rated: Rated) -> None:
    rated.spend(MINUTES, "a")
    rated.pass_time(50)
    early = rated.new("a")
    assert rated.claim(MINUTES, early) == []
    assert rated.waits(early) == near(10)
    rated.pass_time(20)
    assert rated.claim(MINUTES, rated.new("a"), rated.new("a")) == [1]
    rated.pass_time(3600)
    assert rated.claim(MINUTES, *rated.many(4, "a")) == [1, 2, 3]


def test_each_key_has_permits_of_its_own_whether_it_has_a_clock_or_not(rated: Rated) -> None:
    rated.spend(ONE, "old")
    rated.pass_time(40)
    rated.spend(MINUTES, "older")
    rated.pass_time(100)
    jobs = [rated.new(key) for key in ("old", "new", "new", "older", "older", "older")]
    assert rated.claim(MINUTES, *jobs) == [1, 2, 3, 4]
    ahead = {key: each for key, (each, _) in rated.clocks().items()}
    assert [ahead[key] for key in ("old", "new", "older")] == near(60, 120, 140)


def test_a_job_takes_a_permit_of_each_of_its_keys_or_of_none(rated: Rated) -> None:
    rates = (MINUTES, ONE, None)
    jobs = [rated.new("a", key, "free") for key in "xxy"]
    assert rated.claim(rates, *jobs) == [1, 3]
    rated.pass_time(0)
    assert rated.waits(jobs[1]) == near(60)
    assert rated.clocks().keys() == {"a", "x", "y"}
    assert rated.claim(rates, rated.new("a", "x", "free")) == []
    assert rated.claim(rates, rated.new("a", "z", "free")) in ([1], [])


def test_a_job_that_is_over_for_one_key_leaves_the_permit_of_the_other(rated: Rated) -> None:
    rated.spend(ONE, "x")
    rated.spend(MINUTES, "a")
    rated.pass_time(59)
    ahead = rated.clocks()["a"][0]
    assert rated.claim((MINUTES, HOURS), rated.new("a", "x")) == []
    assert rated.clocks()["a"][0] == pytest.approx(ahead, abs=5)


def test_a_claim_is_fenced_and_what_it_does_not_match_takes_no_permit(rated: Rated) -> None:
    early, late, stale, other, stranger = rated.many(5, "a")
    rated.hand.take(IN_AN_HOUR, id=early)
    rated.hand.take(EXPIRED, id=late)
    rated.hand.take("UPDATE duly.key_holders SET dispatch = 2 WHERE job_id = %(id)s", id=stranger)
    fine, bystander = rated.new("a"), rated.new("a")
    before = [rated.hand.job(job) for job in (early, late, stale, other, stranger, bystander)]
    asked = [early, late, stale, other, stranger, fine]
    dispatches, kinds = [1, 1, 2, 1, 1, 1], ["test.note"] * 3 + ["other"] + ["test.note"] * 2
    assert rated.claim(ONE, *asked, dispatches=dispatches, kinds=kinds) == [6]
    assert rated.claim(ONE, *asked[:5], dispatches=dispatches[:5], kinds=kinds[:5]) == []
    after = [rated.hand.job(job) for job in (early, late, stale, other, stranger, bystander)]
    assert after == before
    assert rated.hand.take("SELECT FROM duly.outbox_events") == []


def test_a_claim_whose_answer_was_lost_takes_no_second_permit(rated: Rated) -> None:
    (job,) = rated.spend(ONE, "a")
    ahead = rated.clocks()["a"][0]
    (again,) = rated.claimed(ONE, job)
    assert again["attempt"] == 1
    assert rated.clocks()["a"][0] == pytest.approx(ahead, abs=5)
    assert rated.claim(ONE, job, worker="w2") == []
    assert rated.hand.job(job)["dispatch"] == 1


def test_a_job_that_has_begun_in_time_starts_again_after_it(rated: Rated) -> None:
    job = rated.new("a")
    rated.hand.take("UPDATE duly.jobs SET started_at = now() WHERE id = %(id)s", id=job)
    rated.hand.take(EXPIRED, id=job)
    assert rated.claim(ONE, job) == [1]


def test_what_goes_back_keeps_its_level_and_replaces_an_event_that_is_still_there(
    rated: Rated,
) -> None:
    rated.spend(ONE, "a")
    job = rated.keyed.submit("a")
    assert rated.keyed.admit("a")
    rated.hand.take("UPDATE duly.jobs SET replays = 1 WHERE id = %(id)s", id=job)
    assert rated.claim(ONE, job) == []
    event = rated.event(job)
    assert (event["dispatch"], event["keys"]) == (2, ["a"])
    fresh = rated.new("a")
    rated.hand.take("UPDATE duly.jobs SET replays = 1 WHERE id = %(id)s", id=fresh)
    other = rated.new("a")
    assert rated.claim(ONE, fresh, other) == []
    assert [rated.event(each)["priority"] for each in (fresh, other)] == [4, 1]


def test_what_somebody_has_set_is_the_rate(rated: Rated, engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        for key, at_most, rate in (("a", None, MINUTES), ("b", 5, None), ("c", None, HOURS)):
            key_limits.set_limit(session, key, at_most=at_most, rate=rate, by="ann")
    jobs = [rated.new(key) for key in ("a", "a", "b", "b", "c", "d")]
    assert rated.claim(ONE, *jobs) == [1, 2, 3, 5, 6]
    ahead = {key: each for key, (each, _) in rated.clocks().items()}
    assert [ahead[key] for key in "abc"] == near(120, 60, 3600)


def test_a_clock_that_is_too_far_ahead_costs_one_permit_and_no_more(rated: Rated) -> None:
    """Postgres's time was set back by an hour; or another rate held before."""
    rated.spend(MINUTES, "a")
    rated.pass_time(-3600)
    job = rated.new("a")
    assert rated.claim(MINUTES, job) == []
    assert rated.waits(job) == near(60)
    rated.pass_time(60)
    assert rated.claim(MINUTES, rated.new("a"), rated.new("a")) == [1]
    rated.hand.take("UPDATE duly.key_clocks SET tat = now() + interval '121 s'")
    assert rated.claim(MINUTES, rated.new("a")) == []
    rated.hand.take("UPDATE duly.key_clocks SET tat = now() + interval '119 s'")
    assert rated.claim(MINUTES, rated.new("a"), rated.new("a")) == [1]


def test_a_claim_that_takes_no_permit_writes_to_no_clock(rated: Rated) -> None:
    rated.spend(MINUTES, "a")
    written = "SELECT xmin::text FROM duly.key_clocks"
    before = rated.hand.take(written)
    assert rated.claim(MINUTES, rated.new("a")) == []
    assert rated.hand.take(written) == before


def test_a_claim_sees_what_another_has_just_taken(
    rated: Rated, other_hand: ByHand, aside: Aside
) -> None:
    rated.spend(ONE, "a")
    rated.pass_time(3600)
    first, second = rated.new("a"), rated.new("a")
    with other_hand.connection.transaction():
        assert Rated(other_hand, rated.step).claim(ONE, first) == [1]
        waiting = aside(rated.claim, ONE, second)
    assert waiting.result(10) == []
    assert rated.waits(second) == near(60)


def test_a_clock_that_another_has_just_made_is_looked_at_again_soon(
    rated: Rated, other_hand: ByHand, aside: Aside
) -> None:
    first, second = rated.new("a"), rated.new("a")
    with other_hand.connection.transaction():
        assert Rated(other_hand, rated.step).claim(MINUTES, first) == [1]
        waiting = aside(rated.claim, MINUTES, second)
    assert waiting.result(10) == []
    (wait,) = rated.waits(second)
    assert wait < 61


@pytest.mark.parametrize("keys", ["ba", "ab"])
def test_clocks_are_locked_in_the_order_of_their_keys(
    rated: Rated, other_hand: ByHand, aside: Aside, keys: str
) -> None:
    for key in keys:
        rated.spend(ONE, key)
    rated.pass_time(3600)
    jobs = [rated.new(key) for key in keys]
    rated.hand.take(AS_THEY_LIE)
    with other_hand.connection.transaction():
        other_hand.take(LOCK, key="a")
        waiting = aside(rated.claim, ONE, *jobs)
        assert other_hand.take(FREE, key="b")
    assert waiting.result(10) == [1, 2]


def test_only_the_clocks_of_the_claimed_jobs_are_locked(rated: Rated, other_hand: ByHand) -> None:
    for key in "ab":
        rated.spend(ONE, key)
    rated.pass_time(3600)
    with other_hand.connection.transaction():
        other_hand.take(LOCK, key="b")
        rated.hand.take("SET lock_timeout = '1s'")
        assert rated.claim(ONE, rated.new("a")) == [1]
        rated.hand.take("RESET lock_timeout")


CANCELLED = "UPDATE duly.jobs SET state = 'cancelled' WHERE id = %(id)s"
MOVED = "UPDATE duly.jobs SET dispatch = 7 WHERE id = %(id)s"


@pytest.mark.parametrize("change", [CANCELLED, MOVED])
def test_what_somebody_changes_meanwhile_is_not_sent_back(
    rated: Rated, other_hand: ByHand, aside: Aside, change: str
) -> None:
    rated.spend(ONE, "a")
    job = rated.new("a")
    with other_hand.connection.transaction():
        other_hand.take(change, id=job)
        waiting = aside(rated.claim, ONE, job)
    assert waiting.result(10) == []
    assert rated.hand.job(job)["dispatch"] == (1 if change == CANCELLED else 7)
    assert rated.hand.event(job) is None


def test_what_is_not_started_after_all_takes_no_permit(
    rated: Rated, other_hand: ByHand, aside: Aside
) -> None:
    rated.spend(ONE, "a")
    rated.pass_time(3600)
    job = rated.new("a")
    with other_hand.connection.transaction():
        other_hand.take(CANCELLED, id=job)
        waiting = aside(rated.claim, ONE, job)
    assert waiting.result(10) == []
    assert rated.claim(ONE, rated.new("a")) == [1]


def test_a_unique_job_that_is_over_keeps_its_unique_key_and_a_busy_one_takes_no_permit(
    by_hand: ByHand, other_hand: ByHand
) -> None:
    unique, other = UniqueByHand(by_hand), UniqueByHand(other_hand)
    rated = Rated(by_hand, "CLAIM_UNIQUE_RATED")
    keyed = {"keys": ["a"], "is_ordered": False}
    busy, first, second = (unique.new(key, **keyed) for key in ("busy", "first", "second"))
    for job in (busy, first, second):
        rated.admit(job)
        by_hand.publish(job)
    with other_hand.connection.transaction():
        assert other.holder("busy", **keyed) == busy
        assert rated.claim(ONE, busy, first, second) == [2]
    assert unique.held() == [("busy", busy), ("second", second)]
    assert by_hand.job(second)["started_at"] is None
    assert rated.waits(busy, second) == near(0.1, 60)


def running(rated: Rated, *keys: str) -> UUID:
    job = rated.new(*keys)
    assert rated.claim(tuple(MINUTES for _ in keys), job) == [1]
    return job


def test_a_receivers_pause_puts_the_job_off_and_its_keys_that_have_a_rate(
    by_hand: ByHand,
) -> None:
    rated = Rated(by_hand)
    job = running(rated, "a", "b")
    other = running(rated, "c")
    told = rated.rate_limited((MINUTES, None), job, 600)
    assert told
    assert told["state"] == "queued"
    row = by_hand.job(job)
    assert (row["state"], row["dispatch"], row["attempt"]) == ("queued", 2, 0)
    assert rated.waits(job) == near(600)
    pauses = {key: pause for key, (_, pause) in rated.clocks().items()}
    assert pauses == {"a": near(600)[0], "b": None, "c": None}
    assert rated.claim(MINUTES, rated.new("a"), rated.new("d")) == [2]
    assert by_hand.job(other)["state"] == "running"
    rated.pass_time(601)
    assert rated.claim(MINUTES, *rated.many(4, "a")) == [1, 2, 3]


def test_the_longer_pause_counts_and_none_is_longer_than_a_day(by_hand: ByHand) -> None:
    rated = Rated(by_hand)
    jobs = [running(rated, key) for key in "aaa"]
    for job, delay in zip(jobs, (600, 60, 0), strict=True):
        assert rated.rate_limited(MINUTES, job, delay)
    assert [pause for _, pause in rated.clocks().values()] == near(600)
    job = running(rated, "b")
    assert rated.rate_limited(MINUTES, job, 1e7)
    assert rated.clocks()["b"][1] == near(86_400)[0]
    assert rated.waits(job) == near(1e7)


def test_a_pause_is_fenced_and_holds_where_somebody_has_set_a_rate(
    by_hand: ByHand, engine: Engine
) -> None:
    with Session(engine) as session, session.begin():
        key_limits.set_limit(session, "own", rate=ONE, by="ann")
        key_limits.set_limit(session, "full", at_most=1, by="ann")
    rated = Rated(by_hand)
    job = running(rated, "own", "full", "none")
    rates = (None, None, None)
    for wrong in ({"worker": "w2"}, {"attempt": 2}, {"dispatch": 2}):
        assert rated.rate_limited(rates, job, 600, **wrong) is None
    assert {pause for _, pause in rated.clocks().values()} == {None}
    assert rated.rate_limited(rates, job, 600)
    assert rated.rate_limited(rates, job, 600) is None
    assert {key for key, (_, pause) in rated.clocks().items() if pause} == {"own"}


def test_each_of_several_jobs_is_put_off_by_its_own_time(by_hand: ByHand) -> None:
    rated = Rated(by_hand)
    member, replayed, ended = (running(rated, key) for key in "abc")
    by_hand.take("UPDATE duly.jobs SET batch_id = id WHERE id = %(id)s", id=member)
    by_hand.take("UPDATE duly.jobs SET replays = 1 WHERE id = %(id)s", id=replayed)
    by_hand.take("UPDATE duly.jobs SET state = 'dead' WHERE id = %(id)s", id=ended)
    told = by_hand.take(
        transitions.RATE_LIMITED,
        id=[member, replayed, ended],
        dispatch=[1] * 3,
        attempt=[1] * 3,
        delay_seconds=[60, 600, 6000],
        bursts=["{3}"] * 3,
        worker="w1",
    )
    assert sorted(row["n"] for row in told) == [1, 2]
    assert rated.waits(member, replayed) == near(60, 600)
    assert [rated.event(job)["priority"] for job in (member, replayed)] == [1, 4]
    assert by_hand.job(ended)["state"] == "dead"
    assert by_hand.take("SELECT FROM duly.batch_changes") == []


def test_a_pause_of_a_job_that_somebody_cancels_cancels_it(by_hand: ByHand) -> None:
    rated = Rated(by_hand)
    job = running(rated, "a")
    by_hand.cancel(job)
    told = rated.rate_limited(MINUTES, job, 600)
    assert told
    assert told["state"] == "cancelled"
    assert by_hand.job(job)["finished_at"]
    assert by_hand.event(job) is None


def test_a_person_ends_a_pause_of_that_key(by_hand: ByHand, engine: Engine) -> None:
    rated = Rated(by_hand)
    for key in "ab":
        rated.rate_limited(MINUTES, running(rated, key), 600)
    with Session(engine) as session, session.begin():
        key_limits.set_limit(session, "a", at_most=3, by="ann")
    assert [bool(pause) for _, pause in rated.clocks().values()] == [False, True]
    with Session(engine) as session, session.begin():
        key_limits.set_limit(session, "b", at_most=3, by="ann")
    assert {pause for _, pause in rated.clocks().values()} == {None}
    for key in "ab":
        rated.pass_time(60)
        rated.rate_limited(MINUTES, running(rated, key), 600)
    with Session(engine) as session, session.begin():
        key_limits.clear_limit(session, "a", by="bob")
    assert {key: bool(pause) for key, (_, pause) in rated.clocks().items()} == {
        "a": False,
        "b": True,
    }
    with Session(engine) as session, session.begin():
        assert key_limits.find(session, "ab").keys() == {"b"}
        changed = key_limits.set_limit(session, "b", rate=ONE, by="cid", why="slow")
        assert key_limits.find(session, "ab") == {"b": changed}
        with pytest.raises(NotSet):
            key_limits.clear_limit(session, "a", by="bob")


def test_a_relay_reads_the_clocks_that_it_asks_for(by_hand: ByHand) -> None:
    rated = Rated(by_hand)
    for key in "abc":
        running(rated, key)
    rows = by_hand.take(transitions.READ_CLOCKS, keys=["a", "c", "d"])
    assert sorted((row["key"], row["pause"]) for row in rows) == [("a", None), ("c", None)]
    assert [row["ahead"] for row in rows] == near(60, 60)


def test_clocks_that_say_nothing_are_deleted(by_hand: ByHand, other_hand: ByHand) -> None:
    rated = Rated(by_hand)
    for key in "abcd":
        running(rated, key)
    rated.rate_limited(MINUTES, running(rated, "b"), 3 * 3600)
    rated.rate_limited(MINUTES, running(rated, "c"), 10)
    rated.pass_time(2 * 3600)
    running(rated, "d")
    running(rated, "e")
    with other_hand.connection.transaction():
        other_hand.take(LOCK, key="a")
        by_hand.take("SET lock_timeout = '1s'")
        by_hand.take(transitions.PRUNE_CLOCKS)
        by_hand.take("RESET lock_timeout")
    assert rated.clocks().keys() == {"a", "b", "d", "e"}
    by_hand.take(transitions.PRUNE_CLOCKS)
    assert rated.clocks().keys() == {"b", "d", "e"}


@pytest.mark.parametrize("keys", ["ba", "ab"])
def test_pauses_lock_clocks_in_the_order_of_their_keys(
    by_hand: ByHand, other_hand: ByHand, aside: Aside, keys: str
) -> None:
    rated = Rated(by_hand)
    job = running(rated, *keys)
    with other_hand.connection.transaction():
        other_hand.take(LOCK, key="a")
        waiting = aside(rated.rate_limited, (MINUTES, MINUTES), job, 60)
        assert other_hand.take(FREE, key="b")
    assert waiting.result(10)


@pytest.mark.parametrize("keys", ["ba", "ab"])
def test_clocks_are_made_in_the_order_of_their_keys(
    rated: Rated, other_hand: ByHand, aside: Aside, keys: str
) -> None:
    other = Rated(other_hand)
    jobs = [rated.new(key) for key in keys]
    first, second = rated.new("a"), rated.new("b")
    with other_hand.connection.transaction():
        assert other.claim(ONE, first) == [1]
        waiting = aside(rated.claim, ONE, *jobs)
        other_hand.take("SET LOCAL lock_timeout = '1s'")
        assert other.claim(ONE, second) == [1]
    assert waiting.result(10) == []
