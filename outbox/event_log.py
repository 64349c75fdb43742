"""Logs what happens to jobs: the first subscriber of outbox/events.py."""

import structlog

from outbox.events import Cancelled, Died, Rescued, on

log = structlog.get_logger(__name__)


def subscribe() -> None:
    """Log the events of this process from now on."""
    on(Rescued, _rescued)
    on(Died, _died)
    on(Cancelled, _cancelled)


def _rescued(event: Rescued) -> None:
    log.warning("job rescued", job=str(event.job_id), kind=event.kind, worker=event.worker)


def _died(event: Died) -> None:
    attempt = {} if event.attempt is None else {"attempt": event.attempt}
    fields = {"job": str(event.job_id), "kind": event.kind, **attempt}
    log.error("dead", reason=event.reason, **fields, error=event.error)


def _cancelled(event: Cancelled) -> None:
    log.info("cancelled", job=str(event.job_id), kind=event.kind)
