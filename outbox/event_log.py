"""Logs what happens to jobs: the first subscriber of outbox/events.py."""

from typing import Any
from uuid import UUID

import structlog

from outbox.events import (
    AttemptEvent,
    Cancelled,
    Died,
    JobEvent,
    Postponed,
    Rescued,
    Retried,
    Snoozed,
    Succeeded,
    Superseded,
    TickMade,
    TickSkipped,
    on,
)

log = structlog.get_logger(__name__)


def subscribe() -> None:
    """Log the events of this process from now on."""
    on(Succeeded, _succeeded)
    on(Retried, _retried)
    on(Snoozed, _snoozed)
    on(Postponed, _postponed)
    on(Superseded, _superseded)
    on(Rescued, _rescued)
    on(Died, _died)
    on(Cancelled, _cancelled)
    on(TickMade, _tick_made)
    on(TickSkipped, _tick_skipped)


def _succeeded(event: Succeeded) -> None:
    log.info("succeeded", **_attempt(event), seconds=round(event.seconds, 3))


def _retried(event: Retried) -> None:
    what = {"error_type": event.error_type, "error": event.error}
    delay_seconds = round(event.delay_seconds, 1)
    log.warning("failed, will retry", **_attempt(event), **what, delay_seconds=delay_seconds)


def _snoozed(event: Snoozed) -> None:
    fields = {**_attempt(event), "delay_seconds": event.delay_seconds, "why": event.why}
    if event.is_asked:
        log.info("snoozed", **fields)
    else:
        log.info("queued again", **fields)


def _postponed(event: Postponed) -> None:
    log.warning("postponed", **_job(event), why=event.why)


def _superseded(event: Superseded) -> None:
    log.warning("superseded", **_attempt(event), why=event.why)


def _rescued(event: Rescued) -> None:
    log.warning("job rescued", **_job(event), attempt=event.attempt, worker=event.worker)


def _died(event: Died) -> None:
    told = {"attempt": event.attempt, "key": event.key, "error_type": event.error_type}
    known = {name: value for name, value in told.items() if value is not None}
    log.error("dead", reason=event.reason, **_job(event), **known, error=event.error)


def _cancelled(event: Cancelled) -> None:
    log.info("cancelled", **_job(event))


def _tick_made(event: TickMade) -> None:
    fields = {"schedule": event.schedule, "due_at": event.due_at.isoformat()}
    log.info("tick made", **fields, **_job(event))


def _tick_skipped(event: TickSkipped) -> None:
    due_at = event.due_at.isoformat()
    log.warning("tick skipped", schedule=event.schedule, due_at=due_at, why=event.why)


def of_attempt(job_id: UUID, kind: str, attempt: int, key: str | None) -> dict[str, Any]:
    """What names an attempt in log lines, its job's first key only if it has one."""
    named = {"job": str(job_id), "kind": kind, "attempt": attempt}
    return named | {"key": key} if key else named


def _attempt(event: AttemptEvent) -> dict[str, Any]:
    return of_attempt(event.job_id, event.kind, event.attempt, event.key)


def _job(event: JobEvent) -> dict[str, Any]:
    return {"job": str(event.job_id), "kind": event.kind}
