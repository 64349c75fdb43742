"""Submissions, ends, replays and time that passes, in any order: one job for each held key."""

from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from outbox.store import transitions
from tests.protocol.stage import Stage
from tests.support.engine.unique_by_hand import UniqueByHand

PERIOD, DELAY, CAP = 10_000, 1_000, 4_000
"""Seconds, of which a test takes few."""
SLACK = 300
LATER = """
UPDATE duly.jobs SET run_at = run_at - %(by)s * interval '1 second' WHERE state = 'queued'
"""
RULES: dict[str, dict[str, Any]] = {
    "started": {},
    "ended": {"until": "ended"},
    "period": {"until": "period", "within_seconds": PERIOD},
    "debounced": {"debounce_seconds": DELAY, "cap_seconds": CAP},
}
AHEAD = (
    "SELECT extract(epoch FROM run_at - now())::float8 AS ahead FROM duly.jobs WHERE id = %(id)s"
)
nth = st.integers(0, 20)


@dataclass
class Model:
    """A job, and when it lets its key go."""

    id: UUID
    key: str
    rule: str
    taken: int
    due: int
    payload: int
    state: str = "queued"
    dispatch: int = 1
    attempt: int = 0
    has_started: bool = False
    is_to_stop: bool = False

    def holds(self, now: int) -> bool:
        """Whether another submission becomes this job."""
        if (self.is_to_stop and self.state != "succeeded") or self.state == "cancelled":
            return False
        if self.rule == "period":
            return now < self.taken + PERIOD
        if self.rule == "ended":
            return self.state in ("queued", "running")
        return self.state == "queued" and not self.has_started


def test_a_key_is_held_as_its_rule_says_in_any_order(stage: Stage) -> None:
    Keys.stage = stage
    run_state_machine_as_test(Keys, settings=settings(max_examples=20, stateful_step_count=30))


class Keys(RuleBasedStateMachine):
    """Two keys, each under whatever rule its present holder was submitted with."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.stage.clear()
        self.unique = UniqueByHand(self.stage.anyone)
        self.hand = self.unique.by_hand
        self.now, self.number = 0, 0
        self.jobs: list[Model] = []
        self.holders: dict[str, Model] = {}

    @rule(key=st.sampled_from("ab"), of=st.sampled_from([*RULES]))
    def submit(self, key: str, of: str) -> None:
        self.number += 1
        payload = f'{{"n": {self.number}}}'
        job, holder = self.unique.submit(key, payload=payload, **RULES[of])
        held = self.holders.get(key)
        if held is None or not held.holds(self.now):
            assert holder == job
            due = self.now + (DELAY if of == "debounced" else 0)
            self.jobs.append(Model(job, key, of, self.now, due, self.number))
            self.holders[key] = self.jobs[-1]
            return
        assert holder == held.id
        if of == "debounced" and held.state == "queued":
            held.payload, held.dispatch = self.number, held.dispatch + 1
            held.due = max(held.due, min(self.now + DELAY, held.taken + CAP))

    @rule(seconds=st.sampled_from([DELAY - SLACK, DELAY + SLACK, CAP, PERIOD + SLACK]))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        self.unique.pass_time(seconds)
        self.hand.take(LATER, by=seconds)

    @precondition(lambda self: self.jobs)
    @rule(n=nth)
    def claim(self, n: int) -> None:
        job = self._nth(n)
        claim = self.unique.claim if job.rule in ("started", "debounced") else self.hand.claim
        claimed = claim(job.id, job.dispatch)
        assert bool(claimed) == (job.state in ("queued", "running") and job.due <= self.now)
        if claimed and job.state == "queued":  # else it is the same worker again
            assert claimed["payload"] == {"n": job.payload}
            job.state, job.has_started, job.attempt = "running", True, job.attempt + 1

    @precondition(lambda self: self.jobs)
    @rule(n=nth, end=st.sampled_from(["succeed", "retry", "snooze", "die"]))
    def end(self, n: int, end: str) -> None:
        job = self._nth(n)
        ended = getattr(self.hand, end)(job.id, job.dispatch, job.attempt)
        assert bool(ended) == (job.state == "running")
        if not ended:
            return
        again = "cancelled" if job.is_to_stop else "queued"
        lasts = {"succeed": "succeeded", "die": "cancelled" if job.is_to_stop else "dead"}
        job.state = lasts.get(end, again)
        if end in ("retry", "snooze"):
            job.dispatch, job.due = job.dispatch + 1, self.now
            job.attempt -= end == "snooze"

    @precondition(lambda self: self.jobs)
    @rule(n=nth)
    def cancel(self, n: int) -> None:
        job = self._nth(n)
        if self.hand.cancel(job.id):
            job.is_to_stop = True
            job.state = "cancelled" if job.state == "queued" else job.state

    @precondition(lambda self: self.jobs)
    @rule(n=nth)
    def replay(self, n: int) -> None:
        job = self._nth(n)
        if job.state == "dead":
            (letter,) = (row for row in self.hand.letters(job.id) if row["closed_at"] is None)
            assert self.hand.close(transitions.REPLAY, letter["id"]) == [job.id]
            job.state, job.dispatch, job.due = "queued", job.dispatch + 1, self.now

    @precondition(lambda self: self.jobs)
    @rule(n=nth, hours=st.integers(0, 3))
    def reschedule(self, n: int, hours: int) -> None:
        job = self._nth(n)
        (row,) = self.hand.take("SELECT now() + %(h)s * interval '1 hour' AS at", h=hours)
        if self.hand.reschedule(job.id, run_at=row["at"]):
            job.dispatch, job.due = job.dispatch + 1, self.now + hours * 3600

    @rule()
    def prune(self) -> None:
        self.unique.prune()
        kept = {job for _, job in self.unique.held()}
        holding = {job.id for job in self.holders.values() if job.holds(self.now)}
        dead = {job.id for job in self.holders.values() if job.state == "dead"}
        assert holding <= kept <= holding | dead

    def teardown(self) -> None:
        for job in self.jobs:
            stored = self.hand.job(job.id)
            assert (stored["state"], stored["payload"]) == (job.state, {"n": job.payload})
            if job.state == "queued":
                ahead = self.hand.take(AHEAD, id=job.id)[0]["ahead"]
                assert abs(ahead - (job.due - self.now)) < SLACK
        assert len(self.hand.take("SELECT FROM duly.jobs")) == len(self.jobs)

    def _nth(self, n: int) -> Model:
        return self.jobs[n % len(self.jobs)]
