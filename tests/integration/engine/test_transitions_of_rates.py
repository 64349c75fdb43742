"""Permits of keys, taken one statement at a time."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Rate
from outbox.operations.flow import key_limits
from tests.protocol.stage import AS_THEY_LIE
from tests.support.engine.by_hand import WAITING, ByHand
from tests.support.engine.rated import Rated
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
    jobs = [rated.new("a") for _ in range(5)]
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
    assert rated.claim(MINUTES, *(rated.new("a") for _ in range(4))) == [1, 2, 3]


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
    early, late, stale, other, stranger = (rated.new("a") for _ in range(5))
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
    rated.hand.take("UPDATE duly.key_clocks SET tat = now() + interval '121 s'")
    assert rated.claim(MINUTES, rated.new("a")) == []
    rated.hand.take("UPDATE duly.key_clocks SET tat = now() + interval '119 s'")
    assert rated.claim(MINUTES, rated.new("a"), rated.new("a")) == [1]


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
