"""Takes the steps of a job by hand, one statement and one commit each."""

from typing import Any
from uuid import UUID

import psycopg
from psycopg.pq import ExecStatus
from psycopg.rows import dict_row
from uuid_utils.compat import uuid7

from outbox.relay.scan_cursor import ScanCursor
from outbox.store import transitions

Row = dict[str, Any]
KIND = "test.note"
WAITING = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
"""Finds who waits for a lock."""
SILENT = "SELECT name FROM duly.workers WHERE heartbeat_at < now() - interval '10 s'"
WHAT_WENT_WRONG = {
    "outcome": "failed",
    "error_type": "ValueError",
    "error_message": "no",
    "traceback": "Traceback: no",
}
NO_RATES = {"spacings": "{}", "bursts": "{}"}
"""What a claim that takes permits is told of a job without keys. Other claims do not read it."""


def wanted(**capacity: int) -> dict[str, list[Any]]:
    """What a relay that looks for the first time asks for, with so much room in its queues."""
    return {
        "queues": list(capacity),
        "rooms": list(capacity.values()),
        "replays": [room for room in capacity.values() for _ in range(3)],
        "reached": ScanCursor().of(capacity),
    }


class ByHand:
    """Each method that takes a step returns what the step returns; none means it was fenced off."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def take(self, step: str, **parameters: object) -> list[Row]:
        """Take the step and commit it."""
        cursor = self.connection.cursor(row_factory=dict_row)
        cursor.execute(step, {"trace": None} | parameters)
        assert cursor.pgresult
        has_rows = cursor.pgresult.status == ExecStatus.TUPLES_OK  # of no columns, too
        return cursor.fetchall() if has_rows else []

    def take_one(self, step: str, **row: object) -> Row | None:
        """Take a step of many rows for one row."""
        worker = {"worker": row.pop("worker", "w1")}
        rows = {"trace": None} | row
        taken = self.take(step, **worker, **{name: [value] for name, value in rows.items()})
        return taken[0] if taken else None

    def submit(
        self,
        queue: str = "q",
        *,
        budget: int = 3,
        priority: int = 1,
        expires_at: str | None = None,
    ) -> UUID:
        """A queued job and its event."""
        job = uuid7()
        row = {
            "id": str(job),
            "kind": KIND,
            "queue": queue,
            "priority": str(priority),
            "payload": "{}",
            "run_at": None,
            "budget": str(budget),
            "subject": None,
            "parent_id": None,
            "submitted_by": None,
            "expires_at": expires_at,
        }
        self.take(transitions.SUBMIT, **row)
        return job

    def publish(self, job: UUID, dispatch: int = 1) -> None:
        """What the relay does once the broker has confirmed."""
        self.take(transitions.DELETE_EVENTS, job_id=[job], dispatch=[dispatch])

    def claim(
        self, job: UUID, dispatch: int = 1, worker: str = "w1", *, step: str = transitions.CLAIM
    ) -> Row | None:
        """Queued to running."""
        row = {"id": job, "dispatch": dispatch, "kind": KIND, "worker": worker}
        return self.take_one(step, **row, **NO_RATES)

    def running(self, *, budget: int = 3, worker: str = "w1") -> UUID:
        """A job published and claimed."""
        job = self.submit(budget=budget)
        self.publish(job)
        assert self.claim(job, worker=worker)
        return job

    def succeed(
        self, job: UUID, dispatch: int = 1, attempt: int = 1, worker: str = "w1"
    ) -> Row | None:
        """Running to succeeded."""
        return self._succeed(transitions.SUCCEED, job, dispatch, attempt, worker)

    def succeed_member(
        self, job: UUID, dispatch: int = 1, attempt: int = 1, worker: str = "w1"
    ) -> Row | None:
        """Running to succeeded, for a member of a batch."""
        return self._succeed(transitions.SUCCEED_MEMBER, job, dispatch, attempt, worker)

    def _succeed(
        self, step: str, job: UUID, dispatch: int, attempt: int, worker: str
    ) -> Row | None:
        fence = {"id": job, "dispatch": dispatch, "attempt": attempt, "worker": worker}
        return self.take_one(step, **fence, result='{"ok": true}')

    def retry(
        self,
        job: UUID,
        dispatch: int = 1,
        attempt: int = 1,
        worker: str = "w1",
        *,
        delay: float = 0,
    ) -> Row | None:
        """Running to queued after a failed attempt."""
        fence = {"id": job, "dispatch": dispatch, "attempt": attempt, "worker": worker}
        return self.take_one(transitions.RETRY, **fence, **WHAT_WENT_WRONG, delay_seconds=delay)

    def snooze(
        self,
        job: UUID,
        dispatch: int = 1,
        attempt: int = 1,
        worker: str = "w1",
        *,
        delay: float = 0,
    ) -> Row | None:
        """Running to queued, the attempt given back."""
        fence = {"id": job, "dispatch": dispatch, "attempt": attempt, "worker": worker}
        return self.take_one(transitions.SNOOZE, **fence, delay_seconds=delay)

    def die(self, job: UUID, dispatch: int = 1, attempt: int = 1, worker: str = "w1") -> Row | None:
        """Running to dead."""
        fence = {"id": job, "dispatch": dispatch, "attempt": attempt, "worker": worker}
        return self.take_one(transitions.DIE, **fence, **WHAT_WENT_WRONG, reason="exhausted")

    def step(
        self,
        job: UUID,
        dispatch: int = 1,
        attempt: int = 1,
        worker: str = "w1",
        *,
        checkpoint: str = '"here"',
    ) -> Row | None:
        """Running to running, with a checkpoint."""
        fence = {"id": job, "dispatch": dispatch, "attempt": attempt, "worker": worker}
        kept = self.take(transitions.STEP, **fence, checkpoint=checkpoint)
        return kept[0] if kept else None

    def say_progress(
        self,
        job: UUID,
        dispatch: int = 1,
        attempt: int = 1,
        worker: str = "w1",
        *,
        done: float = 1,
    ) -> Row | None:
        """Say how far the running job is."""
        fence = {"id": job, "dispatch": dispatch, "attempt": attempt, "worker": worker}
        report = f'{{"done": {done}, "total": 9, "note": null}}'
        return self.take_one(transitions.SAVE_PROGRESS, **fence, progress=report)

    def stop(
        self, job: UUID, dispatch: int = 1, attempt: int = 1, worker: str = "w1"
    ) -> Row | None:
        """Running to cancelled, as somebody asked."""
        fence = {"id": job, "dispatch": dispatch, "attempt": attempt, "worker": worker}
        return self.take_one(transitions.STOP, **fence)

    def to_cancel(self, worker: str = "w1") -> list[list[Any]]:
        """Which of its running jobs the worker is to cancel, and their dispatches."""
        (row,) = self.take(transitions.JOBS_TO_CANCEL, worker=worker)
        jobs: list[list[Any]] = row["jobs"]
        return jobs

    def put_off(
        self,
        job: UUID,
        dispatch: int = 1,
        attempt: int = 0,
        worker: str = "w1",
        *,
        kind: str = KIND,
        queue: str = "q",
        patience: float = 3600,
    ) -> Row | None:
        """To queued with a later dispatch: queued, or running where `attempt` says which run."""
        row = {"id": job, "dispatch": dispatch, "attempt": attempt, "kind": kind, "queue": queue}
        more = {"why": "it is new", "patience_seconds": patience}
        return self.take_one(transitions.POSTPONE, worker=worker, **row, **more)

    def bury(
        self,
        job: UUID,
        dispatch: int = 1,
        *,
        kind: str = KIND,
        queue: str = "q",
        error_type: str = "UnknownKind",
    ) -> Row | None:
        """Queued to dead."""
        row = {"id": job, "dispatch": dispatch, "kind": kind, "queue": queue}
        error = {"error_type": error_type, "error_message": "no worker does it"}
        return self.take_one(transitions.DIE_UNCLAIMED, **row, **error, reason="unknown_kind")

    def keep_foreign(self, body: bytes) -> int:
        """A letter of its own for a message that is no job's; its id."""
        row = {"queue": "q", "error_message": "no", "body": body, "headers": "{}"}
        assert self.take_one(transitions.KEEP_FOREIGN, **row)
        return int(self.take("SELECT max(id) AS id FROM duly.dead_letters")[0]["id"])

    def refusal(self, job: UUID) -> Row | None:
        """What is kept of the refusals of a job, if anything."""
        kept = self.take("SELECT * FROM duly.refusals WHERE job_id = %(id)s", id=job)
        return kept[0] if kept else None

    def dead(self) -> tuple[UUID, int]:
        """A dead job, and the id of its letter."""
        job = self.running()
        assert self.die(job)
        return job, self.letters(job)[0]["id"]

    def beat(self, worker: str) -> None:
        """The worker's sign of life."""
        self.take(
            transitions.RECORD_HEARTBEAT, name=worker, queues='["q"]', threads=1, tasks=1, code=None
        )

    def rescue(self, *only: UUID) -> list[Row]:
        """Take the jobs of silent workers from them: of those whose last heartbeat is long ago.

        All of them, or only some.
        """
        silent = [row["name"] for row in self.take(SILENT)]
        return self.take(transitions.RESCUE, silent=silent, only=list(only) or None)

    def expire(self, *only: UUID) -> list[Row]:
        """Queued to cancelled, for what has not begun in time: all of it, or only some."""
        return self.take(transitions.EXPIRE, only=list(only) or None)

    def cancel(self, job: UUID) -> list[Row]:
        """Queued to cancelled; a running job is asked."""
        cancelled = self.take(transitions.CANCEL, ids=[job], by="ann", why="mended")
        return [{"state": row["state"]} for row in cancelled]

    def reschedule(self, job: UUID, **change: object) -> list[Row]:
        """Queued to queued with another `run_at`, `priority` or `queue`."""
        kept = {"run_at": None, "priority": None, "queue": None}
        return self.take(transitions.RESCHEDULE, **kept | change, id=job, by="ann", why="mended")

    def close(self, step: str, *letters: int) -> list[UUID]:
        """Replay or discard the letters; returns the jobs whose letters it closed."""
        closed = self.take(step, ids=list(letters), by="ann", why="mended")
        return [row["job_id"] for row in closed]

    def job(self, job: UUID) -> Row:
        """The job as it is now."""
        return self.take("SELECT * FROM duly.jobs WHERE id = %(id)s", id=job)[0]

    def event(self, job: UUID) -> Row | None:
        """Its outbox event, if it has one."""
        events = self.take("SELECT * FROM duly.outbox_events WHERE job_id = %(id)s", id=job)
        return events[0] if events else None

    def attempts(self, job: UUID) -> list[Row]:
        """Its failed attempts, first to last."""
        query = "SELECT * FROM duly.attempts WHERE job_id = %(id)s ORDER BY attempt"
        return self.take(query, id=job)

    def letters(self, job: UUID) -> list[Row]:
        """Its dead letters, first to last."""
        query = "SELECT * FROM duly.dead_letters WHERE job_id = %(id)s ORDER BY id"
        return self.take(query, id=job)

    def everything(self) -> list[list[Row]]:
        """All rows, to see that a step did nothing."""
        tables = ("jobs", "outbox_events", "attempts", "refusals", "dead_letters", "workers")
        return [self.take(f"SELECT * FROM duly.{table} ORDER BY 1") for table in tables]
