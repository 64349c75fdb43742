"""Permits of keys, taken one statement at a time."""

from datetime import timedelta

import pytest

from outbox import Rate
from tests.support.engine.by_hand import ByHand
from tests.support.engine.rated import Rated

MINUTES = Rate(1, per=timedelta(minutes=1), burst=3)
"""One a minute, of which three are kept."""
ONE = Rate(1, per=timedelta(minutes=1), burst=1)


@pytest.fixture
def rated(by_hand: ByHand) -> Rated:
    return Rated(by_hand)


def near(seconds: float) -> object:
    return pytest.approx(seconds, abs=5)


def test_what_is_over_goes_back_until_its_permit_is_there_and_spends_no_attempt(
    rated: Rated, by_hand: ByHand
) -> None:
    jobs = [rated.admitted("a") for _ in range(5)]
    assert rated.claim(*jobs, rates=(MINUTES,)) == [1, 2, 3]
    assert [rated.waits(job) for job in jobs[3:]] == [near(60), near(120)]
    for job in jobs[3:]:
        row = by_hand.job(job)
        assert (row["state"], row["dispatch"], row["attempt"]) == ("queued", 2, 0)
    assert rated.clocks() == {"a": (near(180), None)}
    assert rated.keyed.count("a") == {"a": 3}


def test_permits_come_evenly_spaced_and_a_burst_of_them_is_kept(rated: Rated) -> None:
    first = [rated.admitted("a") for _ in range(3)]
    assert rated.claim(*first, rates=(MINUTES,)) == [1, 2, 3]
    rated.pass_time(50)
    (job,) = [rated.admitted("a")]
    assert rated.claim(job, rates=(MINUTES,)) == []
    assert rated.waits(job) == near(10)
    rated.pass_time(20)
    rated.keyed.admit("a")
    rated.hand.take("UPDATE duly.outbox_events SET available_at = now()")
    assert rated.keyed.admit("a")
    assert rated.claim(job, rates=(MINUTES,), dispatch=2) == [1]
    rated.pass_time(3600)
    later = [rated.admitted("a") for _ in range(4)]
    assert rated.claim(*later, rates=(MINUTES,)) == [1, 2, 3]
