"""Submits and claims jobs of unique kinds by hand, one statement and one commit each."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from outbox.store import transitions
from tests.support.engine.by_hand import KIND, NO_RATES, ByHand, Row


class UniqueByHand:
    """What `by_hand` does, for jobs that hold a key; `step` is how they are claimed."""

    def __init__(self, by_hand: ByHand, step: str = transitions.CLAIM_UNIQUE) -> None:
        self.by_hand = by_hand
        self.step = step

    def submit(self, key: str = "k", **options: Any) -> tuple[UUID, UUID]:
        """Submit a job of the key; returns its id, and that of the job which holds the key."""
        (answer,) = self.submit_all(**{key: options})
        return answer

    def submit_all(self, **keys: dict[str, Any]) -> list[tuple[UUID, UUID]]:
        """Submit one job of each key, in the order of the arguments."""
        rows = [asked(key, **options) for key, options in keys.items()]
        jobs = {"jobs": json.dumps(rows)}
        found = {row["key"]: UUID(row["job_id"]) for row in self._take("SUBMIT_UNIQUE", jobs)}
        if any(row["debounce_seconds"] for row in rows):
            self._take("DEBOUNCE", jobs)
        return [(UUID(row["id"]), found[row["unique_key"]]) for row in rows]

    def new(self, key: str = "k", **options: Any) -> UUID:
        """A job that holds the key from now on."""
        job, holder = self.submit(key, **options)
        assert holder == job
        return job

    def holder(self, key: str = "k", **options: Any) -> UUID:
        """The job that there is already, when another is submitted."""
        job, holder = self.submit(key, **options)
        assert holder != job
        return holder

    def claim(self, job: UUID, dispatch: int = 1, worker: str = "w1") -> Row | None:
        """Queued to running, and the key given back."""
        return self.by_hand.claim(job, dispatch, worker, step=self.step)

    def claim_all(
        self, *jobs: UUID, dispatches: Sequence[int] = (), kinds: Sequence[str] = ()
    ) -> list[int]:
        """Claim them in one statement; returns which of them have started, counted from 1."""
        asked = {
            "id": list(jobs),
            "dispatch": [*dispatches] or [1] * len(jobs),
            "kind": [*kinds] or [KIND] * len(jobs),
            **{name: [none] * len(jobs) for name, none in NO_RATES.items()},
        }
        return sorted(row["n"] for row in self.by_hand.take(self.step, worker="w1", **asked))

    def running(self, key: str = "k", **options: Any) -> UUID:
        """A job published and claimed."""
        job = self.new(key, **options)
        self.by_hand.publish(job)
        assert self.claim(job)
        return job

    def held(self) -> list[tuple[str, UUID]]:
        """The keys on record, and the job of each."""
        rows = self.by_hand.take("SELECT key, job_id FROM duly.unique_keys ORDER BY key")
        return [(row["key"], row["job_id"]) for row in rows]

    def pass_time(self, seconds: float) -> None:
        """As if the keys had been taken so long before."""
        earlier = "UPDATE duly.unique_keys SET taken_at = taken_at - %(by)s * interval '1 second'"
        self.by_hand.take(earlier, by=seconds)

    def prune(self) -> int:
        """Delete the keys that nobody holds; returns how many."""
        after = UUID(int=0)
        rows = self.by_hand.take(transitions.PRUNE_UNIQUE_KEYS, after=after)
        return sum(row["pruned"] for row in rows)

    def _take(self, step: str, jobs: dict[str, str]) -> list[Row]:
        return self.by_hand.take(getattr(transitions, step), **jobs)


def asked(key: str, until: str = "started", **options: Any) -> Row:
    """A job of the key, as SUBMIT_UNIQUE takes it."""
    row = {
        "id": str(uuid7()),
        "kind": KIND,
        "queue": "q",
        "priority": 1,
        "payload": "{}",
        "run_at": None,
        "budget": 3,
        "subject": None,
        "parent_id": None,
        "submitted_by": None,
        "expires_at": None,
        "unique_key": key,
        "until": until,
        "within_seconds": None,
        "debounce_seconds": None,
        "cap_seconds": None,
    }
    return row | options
