"""What becomes of events whose messages the broker refuses, or could never take."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox.amqp.messages import Dispatch, flaw
from outbox.events import Died, emit
from outbox.postgres.refused_records import first_line, is_about_one
from outbox.store import sequences, transitions

log = structlog.get_logger(__name__)

REASON = "unpublishable"
FAILURES_ALLOWED = 10
"""How often the broker refuses an event before its job becomes dead."""

Unpublishable = list[tuple[Dispatch, str]]
"""Dispatches that need not be tried again, each with the reason."""


def of(refused: Sequence[Dispatch], deferred: Iterable[tuple[Any, ...]]) -> Unpublishable:
    """Which of the refused dispatches will never be published; `deferred` is from DEFER_EVENTS."""
    failures = {str(job_id): count for job_id, _, count in deferred}
    why = {
        each: flaw(each.kind, each.queue) or _too_often(failures.get(each.job_id, 0))
        for each in refused
    }
    return [(dispatch, reason) for dispatch, reason in why.items() if reason]


async def bury(database: AsyncConnection[Any], dispatch: Dispatch, why: str) -> None:
    """Make the job dead, in a transaction of its own, unless it has moved on.

    If the tables refuse that, the event stays deferred, and this is tried again after the next
    attempt to publish it. Raises psycopg's other errors.
    """
    job = {
        "id": [dispatch.job_id],
        "dispatch": [dispatch.dispatch],
        "kind": [dispatch.kind],
        "queue": [dispatch.queue],
        "reason": [REASON],
        "error_type": [""],
        "error_message": [why],
    }
    try:
        died = (await database.execute(transitions.DIE_UNCLAIMED, job)).rowcount
    except psycopg.Error as error:
        if not is_about_one(error):
            raise
        await sequences.advance_async(database)
        log.error("job not buried", job=dispatch.job_id, kind=dispatch.kind, why=first_line(error))  # noqa: TRY400 - a traceback quotes the row
        return
    if died:
        emit(_death(dispatch, why))


def _death(dispatch: Dispatch, why: str) -> Died:
    job_id, _, kind, queue = dispatch
    error: Any = {"error_type": None, "error": why}
    return Died(job_id=UUID(job_id), kind=kind, queue=queue, reason=REASON, **error)


def _too_often(failures: int) -> str | None:
    if failures < FAILURES_ALLOWED:
        return None
    return f"the broker refused its message {failures} times"
