"""Tells what happens to one attempt: each event once it is true in Postgres."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypedDict

from structlog.contextvars import bound_contextvars

from outbox.event_log import of_attempt
from outbox.events import (
    Cancelled,
    Claimed,
    Failed,
    JobEvent,
    Started,
    Succeeded,
    Superseded,
    emit,
    is_wanted,
)
from outbox.job import Claim, Job
from outbox.tracing.tracer import installed
from outbox.worker.attempts.about import About
from outbox.worker.attempts.attempt_trace import AttemptTrace
from outbox.worker.records.failure_record import Failure

UNTRACED = nullcontext()
"""In place of the block of a span."""
NOT_OURS = "this worker no longer owns the job"


class Error(TypedDict):
    """The fields that tell of an error."""

    error_type: str
    error: str


def error_of(failure: Failure) -> Error:
    """What is told of a failure."""
    return {"error_type": failure["error_type"], "error": failure["error_message"]}


class AttemptEvents:
    """The events of one attempt, which ends once: what comes after its end is fenced."""

    def __init__(
        self, about: About, late_seconds: float = 0.0, dead_seconds: float | None = None
    ) -> None:
        """For how long its job is due, and how long ago it first died, if it was replayed."""
        self.about = about
        self.began = -math.inf
        """When it started, on the monotonic clock."""
        self._due_at = time.monotonic() - late_seconds
        self._died_at = None if dead_seconds is None else time.monotonic() - dead_seconds
        self.trace: AttemptTrace | None = None
        """Its span, if it is traced."""
        self._has_failed = False
        self._has_ended = False

    @contextmanager
    def told(self) -> Iterator[None]:
        """A block whose log lines name the attempt. All in it belongs to its span, if any."""
        trace = UNTRACED if self.trace is None else self.trace.block()
        with bound_contextvars(**self.log_fields), trace:
            yield

    @property
    def kept(self) -> dict[str, str | None]:
        """What its record keeps of its span."""
        return {"trace": None if self.trace is None else self.trace.context}

    @property
    def log_fields(self) -> dict[str, Any]:
        """What names the attempt in log lines."""
        about = self.about
        return of_attempt(about["job_id"], about["kind"], about["attempt"], about["key"])

    @property
    def seconds(self) -> float:
        """How long ago it started; 0 if it has not."""
        return time.monotonic() - self.began if math.isfinite(self.began) else 0.0

    def claimed(self) -> None:
        """Its job is this worker's."""
        if is_wanted(Claimed):
            emit(Claimed(**self.about))

    def started(self) -> None:
        """It starts now."""
        self.began = time.monotonic()
        if is_wanted(Started):
            emit(Started(**self.about, late_seconds=self.began - self._due_at))

    def succeeded(self, seconds: float) -> None:
        """Its job has succeeded."""
        fixed = None if self._died_at is None else time.monotonic() - self._died_at
        self._end(Succeeded(**self.about, seconds=seconds, fix_seconds=fixed))

    def committed(self) -> None:
        """Its own transaction has just completed its job."""
        self.succeeded(self.seconds)

    def failed(self, outcome: str, error: Error, seconds: float) -> None:
        """It has failed. What becomes of its job is told next."""
        self._has_failed = True
        if self.trace is not None:
            self.trace.failed(outcome, error["error_type"])
        emit(Failed(**self.about, outcome=outcome, **error, seconds=seconds))

    def ended(self, state: str, event: JobEvent) -> None:
        """It ended so, or its job was cancelled instead, as somebody had asked for that."""
        if state == "cancelled":
            self.cancelled()
        else:
            self._end(event)

    def cancelled(self) -> None:
        """Its job is cancelled."""
        attempt = None if self._has_failed else self.about["attempt"]
        job_id, kind = self.about["job_id"], self.about["kind"]
        self._end(Cancelled(job_id=job_id, kind=kind, attempt=attempt))

    def superseded(self, why: str) -> None:
        """Its job is no longer this worker's, unless it was told already how it ended."""
        if not self._has_ended:
            self._end(Superseded(**self.about, why=why))

    def _end(self, event: JobEvent) -> None:
        self._has_ended = True
        if self.trace is None:
            emit(event)
        else:
            self.trace.end(event)


def events_of(job: Job, queue: str, claim: Claim) -> AttemptEvents:
    """The events of the attempt that this claim has begun."""
    about = About(
        job_id=job.id,
        kind=job.kind,
        queue=queue,
        worker=job.worker,
        attempt=job.attempt,
        key=claim.keys[0] if claim.keys else None,
    )
    events = AttemptEvents(about, claim.late_seconds, claim.dead_seconds)
    if (tracer := installed()) is not None:
        events.trace = AttemptTrace(tracer, about, job.dispatch, claim)
    return events
