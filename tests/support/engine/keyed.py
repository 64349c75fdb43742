"""Jobs with keys by hand: submitted, admitted and counted one statement at a time."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from psycopg import Connection
from uuid_utils.compat import uuid7

from outbox.postgres.session_settings import connect
from outbox.relay.admission.key_cursor import KeyCursor
from outbox.store import transitions
from tests.support.engine.by_hand import KIND, ByHand, Row

HOLDERS = "SELECT job_id, key, dispatch FROM duly.key_holders ORDER BY job_id, key"

RUNNING = """
SELECT key, count(*) FROM duly.jobs CROSS JOIN unnest(keys) AS key
WHERE state = 'running' GROUP BY key
"""
"""How many jobs of each key run."""
MANY = """
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, attempt_limit, attempt_budget, keys)
    SELECT gen_random_uuid(), 'test.note', %(queue)s, 1, '{"text": "A"}', 3, 3, ARRAY['text:A']
    FROM generate_series(1, %(count)s)
    RETURNING *
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys)
SELECT id, dispatch, kind, queue, priority, run_at, keys FROM job
"""
"""Jobs of one key, in one insert."""


class Keyed:
    """Takes the steps of jobs with keys."""

    def __init__(self, hand: ByHand) -> None:
        self.hand = hand

    def submit(
        self,
        *keys: str,
        queue: str = "q",
        kind: str = KIND,
        priority: int = 1,
        ordered: bool = False,
        run_at: str | None = None,
    ) -> UUID:
        """A queued job and its event, which waits for these keys."""
        job = uuid7()
        row = {"id": job.hex, "kind": kind, "queue": queue, "priority": priority, "budget": 3}
        more = {"payload": "{}", "keys": keys or None, "is_ordered": ordered, "run_at": run_at}
        self.hand.take(transitions.SUBMIT_KEYED, jobs=json.dumps([row | more]))
        return job

    def admit(self, *keys: str, most: int = 1, **where: Any) -> list[list[str]]:
        """Admit up to so many events of these keys; returns their keys."""
        found = {"queue": "q", "level": 1, "kind": KIND} | where
        wanted = json.dumps([found | {"keys": keys, "most": most}])
        return [row["keys"] for row in self.hand.take(transitions.ADMIT, wanted=wanted)]

    def admit_first(self, job: UUID, *keys: str, kind: str = KIND) -> bool:
        """Admit the event of this job if it is the first of its key; whether it was."""
        wanted = json.dumps([{"id": str(job), "kind": kind, "keys": keys}])
        return bool(self.hand.take(transitions.ADMIT_FIRST, wanted=wanted))

    def count(self, *keys: str, held: tuple[str, ...] = ()) -> dict[str, int]:
        """How many jobs hold each of the keys."""
        rows = self.hand.take(transitions.COUNT_HOLDERS, keys=list(keys), held=list(held))
        return {row["key"]: row["held"] for row in rows}

    def sweep(self, held: tuple[str, ...] = ()) -> list[Row]:
        """Delete what no longer counts; returns what it tells of the jobs."""
        return self.hand.take(transitions.SWEEP_HOLDERS, held=list(held))

    def scan(
        self,
        cursor: KeyCursor | None = None,
        *queues: str,
        hops: int = 100,
        sought: int = 100,
        most: int = 10,
        **limits: int | None,
    ) -> list[Row]:
        """What waits in these queues, where kinds have these limits."""
        asked = {"wanted": json.dumps((cursor or KeyCursor()).wanted(queues or ["q"]))}
        known = json.dumps({KIND: None} | limits)
        return self.hand.take(
            transitions.SCAN_KEYS, **asked, hops=hops, sought=sought, most=most, limits=known
        )

    def holders(self) -> list[tuple[UUID, str, int]]:
        """All holders."""
        return [(row["job_id"], row["key"], row["dispatch"]) for row in self.hand.take(HOLDERS)]

    def running(self, *keys: str) -> UUID:
        """A job that was admitted, published and claimed."""
        job = self.submit(*keys)
        assert self.admit(*keys) == [list(keys)]
        self.hand.publish(job)
        assert self.hand.claim(job)
        return job


@contextmanager
def sampled(database_url: str) -> Iterator[Counter[str]]:
    """How many jobs of each key Postgres said were running at once, at most."""
    most: Counter[str] = Counter()
    done = threading.Event()

    def sample() -> None:
        connection: Connection[Any]
        with connect(database_url) as connection:
            while not done.wait(0.003):
                for key, count in connection.execute(RUNNING):
                    most[key] = max(most[key], count)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()
