"""Jobs of keys with rates by hand: submitted, admitted and claimed one statement at a time."""

from uuid import UUID

from outbox.flow.rates import Rate
from outbox.postgres.round_trip import array
from outbox.store import transitions
from tests.support.engine.by_hand import KIND, ByHand, Row
from tests.support.engine.keyed import Keyed

CLOCKS = """
SELECT key, extract(epoch FROM tat - now())::float8 AS ahead,
       extract(epoch FROM not_before - now())::float8 AS pause
FROM duly.key_clocks ORDER BY key
"""
PASS_TIME = """
UPDATE duly.key_clocks
SET tat = tat - %(by)s * interval '1 second', not_before = not_before - %(by)s * interval '1 second'
"""
Rates = tuple[Rate | None, ...]


class Rated:
    """Takes the steps of jobs whose keys have rates."""

    def __init__(self, hand: ByHand) -> None:
        self.hand = hand
        self.keyed = Keyed(hand)

    def admitted(self, *keys: str) -> UUID:
        """A job that was admitted and published."""
        job = self.keyed.submit(*keys)
        assert self.keyed.admit(*keys)
        self.hand.publish(job)
        return job

    def claim(self, *jobs: UUID, rates: Rates, dispatch: int = 1, worker: str = "w1") -> list[int]:
        """Claim them in one statement; returns which of them have started, counted from 1."""
        return [
            row["n"] for row in self.claimed(*jobs, rates=rates, dispatch=dispatch, worker=worker)
        ]

    def claimed(
        self,
        *jobs: UUID,
        rates: Rates,
        dispatch: int = 1,
        worker: str = "w1",
        step: str = "CLAIM_RATED",
    ) -> list[Row]:
        """The rows of those that have started."""
        rows = rows_of(rates)
        asked = {
            "id": list(jobs),
            "dispatch": [dispatch] * len(jobs),
            "kind": [KIND] * len(jobs),
            "spacings": [rows["spacings"]] * len(jobs),
            "bursts": [rows["bursts"]] * len(jobs),
        }
        return self.hand.take(getattr(transitions, step), worker=worker, **asked)

    def rate_limited(self, job: UUID, rates: Rates, delay: float, dispatch: int = 1) -> Row | None:
        """Running to queued, because the receiver asked for a pause."""
        fence = {"id": job, "dispatch": dispatch, "attempt": 1}
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

    def waits(self, job: UUID) -> float:
        """In how many seconds its event is due; it waits for its keys."""
        (row,) = self.hand.take(
            "SELECT extract(epoch FROM available_at - now())::float8 AS wait, keys"
            " FROM duly.outbox_events WHERE job_id = %(id)s",
            id=job,
        )
        assert row["keys"]
        return float(row["wait"])


def rows_of(rates: Rates) -> dict[str, str]:
    """What a claim knows of them."""
    return {
        "spacings": array(rate.spacing_us if rate else 0 for rate in rates),
        "bursts": array(rate.burst if rate else 0 for rate in rates),
    }
