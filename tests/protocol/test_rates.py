"""Claims and time that passes, in any order: never more starts than the rate, and never fewer."""

import math
from datetime import timedelta
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from outbox import Rate
from tests.protocol.stage import Stage
from tests.support.engine.rated import Rated

SPACING = 1000
"""Seconds between two permits, of which a test takes few."""
SLACK = 300
"""For the time that a test itself takes."""
BURSTS = {"a": 3, "b": 1}


def rate(burst: int) -> Rate:
    """One permit for each SPACING."""
    return Rate(1, per=timedelta(seconds=SPACING), burst=burst)


def test_no_more_start_than_the_rate_allows_and_whoever_has_a_permit_does(stage: Stage) -> None:
    Permits.stage = stage
    run_state_machine_as_test(Permits, settings=settings(max_examples=6, stateful_step_count=25))


class Permits(RuleBasedStateMachine):
    """Two keys, each with a burst of its own; a job has one of them, or both."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.stage.clear()
        self.rated = Rated(self.stage.anyone)
        self.now = 0
        self.starts: dict[str, list[int]] = {"a": [], "b": []}
        self.tat: dict[str, int] = {}

    @rule(keys=st.sampled_from(["a", "b", "ab"]), count=st.integers(1, 5))
    def claim(self, keys: str, count: int) -> None:
        jobs = self.rated.many(count, *keys)
        started = self.rated.claim(tuple(rate(BURSTS[key]) for key in keys), *jobs)
        expected = min(count, *map(self._permits, keys))
        assert started == [*range(1, expected + 1)]
        for key in keys:
            self.starts[key] += [self.now] * expected
            self.tat[key] = self._clock(key) + expected * SPACING

    @rule(halves=st.integers(1, 5))
    def pass_time(self, halves: int) -> None:
        seconds = halves * SPACING // 2 + SLACK
        self.now += seconds
        self.rated.pass_time(seconds)

    @rule(spacings=st.integers(1, 20))
    def set_the_clock_back(self, spacings: int) -> None:
        """Postgres's: at the next claim a key has no permit, and then one after a spacing."""
        self.rated.pass_time(-spacings * SPACING)
        self.tat = {key: tat + spacings * SPACING for key, tat in self.tat.items()}

    def teardown(self) -> None:
        for key, burst in BURSTS.items():
            starts = self.starts[key]
            for first, began in enumerate(starts):
                for last, then in enumerate(starts[first:], first):
                    assert last - first + 1 <= burst + (then - began) / SPACING

    def _clock(self, key: str) -> int:
        tat = self.tat.get(key, self.now)
        return min(max(tat, self.now), self.now + BURSTS[key] * SPACING)

    def _permits(self, key: str) -> int:
        return BURSTS[key] - math.ceil((self._clock(key) - self.now) / SPACING)
