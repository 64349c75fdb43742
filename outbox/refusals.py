"""What becomes of events whose messages the broker refuses, or could never take."""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox import sequences, steps, wire
from outbox.refused import first_line, is_about_one
from outbox.wire import Dispatch

log = structlog.get_logger(__name__)

FAILURES_ALLOWED = 10
"""How often the broker may refuse one event before its job is buried."""

Hopeless = list[tuple[Dispatch, str]]
"""What need not be tried again, each with why."""


def flaw(dispatch: Dispatch) -> str | None:
    """Why no message can be made of it, or None."""
    return wire.flaw(dispatch.kind, dispatch.queue)


def hopeless(refused: Sequence[Dispatch], deferred: Iterable[tuple[Any, ...]]) -> Hopeless:
    """Which of them will never be published, now that DEFER_EVENTS has returned this of them."""
    failures = {str(job_id): count for job_id, _, count in deferred}
    why = {each: flaw(each) or _too_often(failures.get(each.job_id, 0)) for each in refused}
    return [(dispatch, reason) for dispatch, reason in why.items() if reason]


async def bury(database: AsyncConnection[Any], dispatch: Dispatch, why: str) -> None:
    """Let the job die, in a transaction of its own, unless it has moved on.

    Where the tables do not take that, its event stays put off, and is to be buried again. Raises
    psycopg's other errors.
    """
    grave = {
        "id": [dispatch.job_id],
        "dispatch": [dispatch.dispatch],
        "kind": [dispatch.kind],
        "queue": [dispatch.queue],
        "reason": ["unpublishable"],
        "error_type": [""],
        "error_message": [why],
    }
    try:
        buried = (await database.execute(steps.BURY, grave)).rowcount
    except psycopg.Error as error:
        if not is_about_one(error):
            raise
        await sequences.move_on(database)
        log.error("job not buried", job=dispatch.job_id, why=first_line(error))  # noqa: TRY400 - the row is in it
        return
    if buried:
        log.warning("job buried: it cannot be published", job=dispatch.job_id, why=why)


def _too_often(failures: int) -> str | None:
    if failures < FAILURES_ALLOWED:
        return None
    return f"the broker refused its message {failures} times"
