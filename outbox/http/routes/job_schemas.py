"""Jobs as the API shows them. Sensitive payload fields are shown to some keys only."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from outbox import Priority, SubmittedJob
from outbox.http.base_path import below
from outbox.kinds import Kinds
from outbox.operations.api_keys import Caller, Scope
from outbox.operations.jobs import AttemptRecord, JobRecord
from outbox.redaction.fields import redact, redact_result
from outbox.store.records import fields


class JobSummary(BaseModel):
    """A job in brief. `scheduled` is queued for later, be it by `run_at` or by a retry."""

    id: UUID
    kind: str
    queue: str
    state: Literal["scheduled", "queued", "running", "succeeded", "dead", "cancelled"]
    links: dict[str, str]

    @classmethod
    def brief(cls, job: JobRecord | SubmittedJob) -> "JobSummary":
        """The job in brief."""
        return cls.model_validate(_summary(job))


class JobShown(JobSummary):
    """A job with what is known of it.

    `left_out` names what is too large for a list, and null there: `links.self` shows it.
    """

    created_at: datetime
    run_at: datetime
    priority: Literal["high", "normal", "low"]
    payload: dict[str, Any] | None
    subject: str | None
    parent_id: UUID | None
    submitted_by: str | None
    attempt: int
    attempt_limit: int
    worker: str | None
    started_at: datetime | None
    cancel_requested_at: datetime | None
    finished_at: datetime | None
    result: Any
    left_out: list[Literal["payload", "result"]]

    @classmethod
    def of(cls, job: JobRecord, kinds: Kinds, by: Caller) -> "JobShown":
        """The job as this caller may see it."""
        return cls.model_validate(_details(job, kinds, by))


class Attempt(BaseModel):
    """One run of a job, the first being 1."""

    attempt: int
    outcome: Literal["failed", "timed_out", "crashed", "uncertain", "running", "succeeded"]
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    error_type: str | None = None
    error_message: str | None = None
    traceback: str | None = None


class JobInFull(JobShown):
    """A job with all its attempts."""

    attempts: list[Attempt]

    @classmethod
    def of_attempts(
        cls, job: JobRecord, failed: Sequence[AttemptRecord], kinds: Kinds, by: Caller
    ) -> "JobInFull":
        """The job and its attempts as this caller may see them."""
        runs = [*map(fields, failed), *_current_run(job)]
        return cls.model_validate(_details(job, kinds, by) | {"attempts": runs})


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    jobs: list[JobShown]
    next_cursor: str | None


def job_path(job_id: UUID) -> str:
    """Where the job is."""
    return below(f"/v1/jobs/{job_id}")


def _summary(job: JobRecord | SubmittedJob) -> dict[str, Any]:
    state = job.state if isinstance(job, JobRecord) else "queued"
    now = datetime.now(UTC)
    later = state == "queued" and (job.run_at or now) > now
    links = {"self": job_path(job.id), "cancel": f"{job_path(job.id)}/cancel"}
    return fields(job) | {"state": "scheduled" if later else state, "links": links}


def _details(job: JobRecord, kinds: Kinds, by: Caller) -> dict[str, Any]:
    hidden = {} if by.may(Scope.PAYLOADS) else _redacted(job, kinds)
    return _summary(job) | {"priority": Priority(job.priority).name.lower()} | hidden


def _redacted(job: JobRecord, kinds: Kinds) -> dict[str, Any]:
    kind = kinds.get(job.kind)
    payload = None if job.payload is None else redact(kind, job.payload)
    return {"payload": payload, "result": redact_result(kind, job.result)}


def _current_run(job: JobRecord) -> list[dict[str, Any]]:
    """The run that the table of failed attempts does not have."""
    if job.state not in ("running", "succeeded"):
        return []
    return [fields(job) | {"outcome": job.state}]
