"""Jobs of keys with rates by hand: submitted, admitted and claimed one statement at a time."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from outbox import Rate
from outbox.postgres.round_trip import array
from outbox.store import transitions
from outbox.testing.admission import ADMIT_ALONE
from tests.support.engine.by_hand import KIND, ByHand, Row
from tests.support.engine.keyed import Keyed

PUBLISHED = """
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, attempt_limit, attempt_budget, keys)
    SELECT gen_random_uuid(), %(kind)s, 'q', 1, '{}', 3, 3, %(keys)s
    FROM generate_series(1, %(count)s)
    RETURNING *
)
INSERT INTO duly.key_holders (key, job_id, dispatch)
SELECT unnest(keys), id, dispatch FROM job
RETURNING job_id
"""
CLOCKS = """
SELECT key, extract(epoch FROM tat - now())::float8 AS ahead,
       extract(epoch FROM not_before - now())::float8 AS pause
FROM duly.key_clocks ORDER BY key
"""
PASS_TIME = """
UPDATE duly.key_clocks
SET tat = tat - %(by)s * interval '1 second', not_before = not_before - %(by)s * interval '1 second'
"""
WAIT = """
SELECT extract(epoch FROM available_at - now())::float8 AS wait, keys, dispatch, priority
FROM duly.outbox_events WHERE job_id = %(id)s
"""
Rates = Rate | tuple[Rate | None, ...]


class Rated:
    """Takes the steps of jobs whose keys have rates; `step` is how they are claimed."""

    def __init__(self, hand: ByHand, step: str = "CLAIM_RATED") -> None:
        self.hand = hand
        self.step = step
        self.keyed = Keyed(hand)

    def new(self, *keys: str) -> UUID:
        """A job that was admitted and published."""
        return self.many(1, *keys)[0]

    def many(self, count: int, *keys: str) -> list[UUID]:
        """So many of them."""
        rows = self.hand.take(PUBLISHED, kind=KIND, keys=list(keys), count=count)
        return [row["job_id"] for row in rows[:: len(keys)]]

    def admit(self, job: UUID) -> None:
        """Whatever holds its keys."""
        self.hand.take(ADMIT_ALONE, id=job)

    def claim(self, rates: Rates, *jobs: UUID, **more: Any) -> list[int]:
        """Claim them in one statement; returns which of them have started, counted from 1."""
        return sorted(row["n"] for row in self.claimed(rates, *jobs, **more))

    def claimed(
        self,
        rates: Rates,
        *jobs: UUID,
        dispatches: Sequence[int] = (),
        kinds: Sequence[str] = (),
        worker: str = "w1",
    ) -> list[Row]:
        """The rows of those that have started."""
        asked = {
            "id": list(jobs),
            "dispatch": [*dispatches] or [1] * len(jobs),
            "kind": [*kinds] or [KIND] * len(jobs),
            **{name: [text] * len(jobs) for name, text in rows_of(rates).items()},
        }
        return self.hand.take(getattr(transitions, self.step), worker=worker, **asked)

    def spend(self, rate: Rate, key: str) -> list[UUID]:
        """Take all permits that the key has; returns the jobs that took them."""
        jobs = self.many(rate.burst, key)
        assert len(self.claim(rate, *jobs)) == rate.burst
        return jobs

    def rate_limited(self, rates: Rates, job: UUID, delay: float, **more: Any) -> Row | None:
        """Running to queued, because the receiver asked for a pause."""
        fence = {"id": job, "dispatch": 1, "attempt": 1, "worker": "w1"} | more
        bursts = rows_of(rates)["bursts"]
        return self.hand.take_one(
            transitions.RATE_LIMITED, **fence, delay_seconds=delay, bursts=bursts
        )

    def clocks(self) -> dict[str, tuple[float, float | None]]:
        """How far each clock is ahead of now, and for how long it is paused."""
        return {row["key"]: (row["ahead"], row["pause"]) for row in self.hand.take(CLOCKS)}

    def pass_time(self, seconds: float) -> None:
        """As if so much time had passed."""
        self.hand.take(PASS_TIME, by=seconds)

    def event(self, job: UUID) -> Row:
        """Its event, and in how many seconds that is due."""
        (row,) = self.hand.take(WAIT, id=job)
        return row

    def waits(self, *jobs: UUID) -> list[float]:
        """In how many seconds their events are due."""
        return [self.event(job)["wait"] for job in jobs]


def rows_of(rates: Rates) -> dict[str, str]:
    """What a claim knows of the rates of a job's keys."""
    of = rates if isinstance(rates, tuple) else (rates,)
    return {
        "spacings": array(rate.spacing_us if rate else 0 for rate in of),
        "bursts": array(rate.burst if rate else 0 for rate in of),
    }
