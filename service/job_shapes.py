"""Jobs as the API shows them. Sensitive payload fields are shown to some keys only."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from outbox import Priority, SubmittedJob
from outbox.jobs import AttemptRecord, JobRecord
from outbox.records import fields
from outbox.redaction import redact, redact_result
from service.api_keys import Caller, Scope
from service.kinds import KINDS


class JobSummary(BaseModel):
    """A job in brief. `scheduled` is queued for later, be it by `run_at` or by a retry."""

    id: UUID
    kind: str
    queue: str
    state: Literal["scheduled", "queued", "running", "succeeded", "dead", "cancelled"]
    links: dict[str, str]

    @classmethod
    def of(cls, job: JobRecord | SubmittedJob) -> "JobSummary":
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
    def seen(cls, job: JobRecord, by: Caller) -> "JobShown":
        """The job as this caller may see it."""
        return cls.model_validate(_details(job, by))


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
    def told(cls, job: JobRecord, failed: Sequence[AttemptRecord], by: Caller) -> "JobInFull":
        """The job's whole story as this caller may see it."""
        runs = [*map(fields, failed), *_current_run(job)]
        return cls.model_validate(_details(job, by) | {"attempts": runs})


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    jobs: list[JobShown]
    next_cursor: str | None


def job_path(job_id: UUID) -> str:
    """Where the job is."""
    return f"/v1/jobs/{job_id}"


def _summary(job: JobRecord | SubmittedJob) -> dict[str, Any]:
    state = job.state if isinstance(job, JobRecord) else "queued"
    now = datetime.now(UTC)
    later = state == "queued" and (job.run_at or now) > now
    links = {"self": job_path(job.id), "cancel": f"{job_path(job.id)}/cancel"}
    return fields(job) | {"state": "scheduled" if later else state, "links": links}


def _details(job: JobRecord, by: Caller) -> dict[str, Any]:
    hidden = {} if by.may(Scope.PAYLOADS) else _redacted(job)
    return _summary(job) | {"priority": Priority(job.priority).name.lower()} | hidden


def _redacted(job: JobRecord) -> dict[str, Any]:
    kind = KINDS.get(job.kind)
    payload = None if job.payload is None else redact(kind, job.payload)
    return {"payload": payload, "result": redact_result(kind, job.result)}


def _current_run(job: JobRecord) -> list[dict[str, Any]]:
    """The run that the table of failed attempts does not have."""
    if job.state not in ("running", "succeeded"):
        return []
    return [fields(job) | {"outcome": job.state}]
