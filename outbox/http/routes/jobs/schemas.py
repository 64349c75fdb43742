"""Jobs as the API shows them. Only some keys may see sensitive payload fields."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from outbox import Priority, SubmittedJob
from outbox.http.base_path import with_base_path
from outbox.kinds import Kinds
from outbox.operations.api_keys import Caller, Scope
from outbox.operations.jobs import AttemptRecord, JobRecord
from outbox.redaction.fields import redact, redact_result
from outbox.store.records import fields


class JobSummary(BaseModel):
    """A job in brief. `scheduled` means queued for later, because of `run_at` or a retry.

    `links.cancel` is there while the job can be cancelled, until it has ended; `links.reschedule`
    while it is queued.
    """

    id: UUID
    kind: str
    queue: str
    state: Literal["scheduled", "queued", "running", "succeeded", "dead", "cancelled"]
    links: dict[str, str]

    @classmethod
    def brief(cls, job: JobRecord | SubmittedJob) -> "JobSummary":
        """The job in brief."""
        return cls.model_validate(_summary(job))


class Progress(BaseModel):
    """How far the job said that it is. It stays when the job is tried again, until the next one."""

    done: float
    total: float | None
    note: str | None
    at: datetime
    attempt: int
    ends_at: datetime | None = Field(
        description="An estimate of when the job will have done all, from the rate of the attempt "
        "that runs. Null if that is unknown."
    )


class JobShown(JobSummary):
    """A job with all its fields.

    `left_out` names fields that are null because they are too large for a list. `links.self` shows
    them. `links.children` lists the jobs that it submitted.
    """

    created_at: datetime
    run_at: datetime
    priority: Literal["high", "normal", "low"]
    payload: dict[str, Any] | None
    subject: str | None
    parent_id: UUID | None
    batch_id: UUID | None = Field(description="The batch that it is a member of.")
    submitted_by: str | None
    attempt: int = Field(
        description="The number of its newest attempt, 0 before the first. Counting goes on after "
        "a replay."
    )
    attempt_limit: int = Field(
        description="The number of the attempt that is its last: if that fails, the job is dead. A "
        "replay sets it to `attempt` plus as many attempts as the kind allows."
    )
    attempts_left: int = Field(
        description="How many more attempts it may have, besides one that runs: `attempt_limit` "
        "less `attempt`. 0 once the job has ended, or is to be cancelled."
    )
    replays: int = Field(description="How often it was replayed after it died.")
    worker: str | None
    started_at: datetime | None
    cancel_requested_at: datetime | None
    finished_at: datetime | None
    progress: Progress | None = Field(description="Null until the job says how far it is.")
    expires_at: datetime | None = Field(
        description="The job is cancelled if it has not begun by then."
    )
    cancel_reason: str | None = Field(
        description="Why somebody asked to cancel it, if they said so, or that it has expired."
    )
    keys: list[str] | None = Field(
        description="Its keys, as its kind makes them from the payload. Null without any."
    )
    result: Any
    left_out: list[Literal["payload", "result"]]

    @classmethod
    def of(cls, job: JobRecord, kinds: Kinds, by: Caller) -> "JobShown":
        """The job as this caller may see it."""
        return cls.model_validate(_details(job, kinds, by))


class Attempt(BaseModel):
    """One run of a job. The first is attempt 1."""

    attempt: int
    outcome: Literal[
        "failed", "timed_out", "crashed", "uncertain", "running", "succeeded", "cancelled"
    ]
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
        runs = [*map(fields, failed), *_current_run(job, failed)]
        return cls.model_validate(_details(job, kinds, by) | {"attempts": runs})


class JobPage(BaseModel):
    """A page of jobs, the newest first."""

    jobs: list[JobShown]
    next_cursor: str | None


def job_path(job_id: UUID) -> str:
    """The path of the job."""
    return with_base_path(f"/v1/jobs/{job_id}")


def _summary(job: JobRecord | SubmittedJob) -> dict[str, Any]:
    state = job.state if isinstance(job, JobRecord) else "queued"
    now = datetime.now(UTC)
    is_later = state == "queued" and (job.run_at or now) > now
    links = {"self": job_path(job.id)}
    if state in ("queued", "running"):
        links["cancel"] = f"{job_path(job.id)}/cancel"
    if state == "queued":
        links["reschedule"] = f"{job_path(job.id)}/reschedule"
    return fields(job) | {"state": "scheduled" if is_later else state, "links": links}


def _details(job: JobRecord, kinds: Kinds, by: Caller) -> dict[str, Any]:
    redacted = {} if by.may(Scope.PAYLOADS) else _redacted(job, kinds)
    summary = _summary(job)
    shown: dict[str, Any] = {
        "priority": Priority(job.priority).name.lower(),
        "attempts_left": job.attempts_left,
        "links": summary["links"] | _relatives(job),
    }
    if job.progress:
        shown["progress"] = fields(job.progress)
    return summary | shown | redacted


def _relatives(job: JobRecord) -> dict[str, str]:
    """Where the job's children are, and its parent if it has one."""
    links = {"children": with_base_path(f"/v1/jobs?parent={job.id}")}
    return links | ({"parent": job_path(job.parent_id)} if job.parent_id else {})


def _redacted(job: JobRecord, kinds: Kinds) -> dict[str, Any]:
    kind = kinds.get(job.kind)
    payload = None if job.payload is None else redact(kind, job.payload)
    return {"payload": payload, "result": redact_result(kind, job.result)}


def _current_run(job: JobRecord, failed: Sequence[AttemptRecord]) -> list[dict[str, Any]]:
    """The attempt that runs, succeeded or was cancelled, which is not among the failed ones."""
    was_cancelled = job.state == "cancelled" and job.attempt > max(
        (each.attempt for each in failed), default=0
    )
    if job.state in ("running", "succeeded") or was_cancelled:
        return [fields(job) | {"outcome": job.state}]
    return []
