"""Logs what happens to jobs: the first subscriber of outbox/events.py."""

import structlog

from outbox.events import Cancelled, Died, Rescued, TickMade, TickSkipped, on

log = structlog.get_logger(__name__)


def subscribe() -> None:
    """Log the events of this process from now on."""
    on(Rescued, _rescued)
    on(Died, _died)
    on(Cancelled, _cancelled)
    on(TickMade, _tick_made)
    on(TickSkipped, _tick_skipped)


def _rescued(event: Rescued) -> None:
    log.warning("job rescued", job=str(event.job_id), kind=event.kind, worker=event.worker)


def _died(event: Died) -> None:
    attempt = {} if event.attempt is None else {"attempt": event.attempt}
    fields = {"job": str(event.job_id), "kind": event.kind, **attempt}
    log.error("dead", reason=event.reason, **fields, error=event.error)


def _cancelled(event: Cancelled) -> None:
    log.info("cancelled", job=str(event.job_id), kind=event.kind)


def _tick_made(event: TickMade) -> None:
    fields = {"schedule": event.schedule, "due_at": event.due_at.isoformat()}
    log.info("tick made", **fields, job=str(event.job_id), kind=event.kind)


def _tick_skipped(event: TickSkipped) -> None:
    due_at = event.due_at.isoformat()
    log.warning("tick skipped", schedule=event.schedule, due_at=due_at, why=event.why)
