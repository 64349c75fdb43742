"""What becomes of events whose messages the broker refuses, or could never take."""

from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from psycopg import AsyncConnection, AsyncCursor

from outbox import steps, wire
from outbox.wire import Dispatch

log = structlog.get_logger(__name__)

FAILURES_ALLOWED = 10
"""How often the broker may refuse one event before its job is buried."""

Hopeless = list[tuple[Dispatch, str]]
"""What need not be tried again, each with why."""


def flaw(dispatch: Dispatch) -> str | None:
    """Why no message can be made of it, or None."""
    return wire.flaw(dispatch.kind, dispatch.queue)


async def defer(
    database: AsyncConnection[Any], refused: Sequence[Dispatch]
) -> AsyncCursor[Any] | None:
    """Let each back off, in the transaction that holds it; what it returns is for `hopeless`.

    Those too: they wait until they are buried, and if the process dies before, to be tried again.
    """
    if not refused:
        return None
    log.warning("messages refused", count=len(refused), first=refused[0].message_id)
    return await database.execute(steps.DEFER_EVENTS, keys(refused))


async def hopeless(refused: Sequence[Dispatch], deferred: AsyncCursor[Any] | None) -> Hopeless:
    """Which of them will never be published, once they were deferred."""
    if deferred is None:
        return []
    failures = {str(job_id): count for job_id, _, count in await deferred.fetchall()}
    why = {each: flaw(each) or _too_often(failures.get(each.job_id, 0)) for each in refused}
    return [(dispatch, reason) for dispatch, reason in why.items() if reason]


async def bury(database: AsyncConnection[Any], dispatch: Dispatch, why: str) -> None:
    """Let the job die, in a transaction of its own, unless it has moved on."""
    grave = {
        "job_id": dispatch.job_id,
        "dispatch": dispatch.dispatch,
        "kind": dispatch.kind,
        "queue": dispatch.queue,
        "reason": "unpublishable",
        "error_type": None,
        "error_message": why,
        "body": None,
        "headers": None,
    }
    if (await database.execute(steps.BURY, grave)).rowcount:
        log.warning("job buried: it cannot be published", job=dispatch.job_id, why=why)


def keys(dispatches: Sequence[Dispatch]) -> dict[str, str]:
    """The dispatches as the steps take them: arrays, written out.

    psycopg writes out a list as well, and asks of each element anew how: a tenth of the relay's
    time.
    """
    return {
        "job_id": _array(each.job_id for each in dispatches),
        "dispatch": _array(str(each.dispatch) for each in dispatches),
    }


def _array(plain: Iterable[str]) -> str:
    return f"{{{','.join(plain)}}}"


def _too_often(failures: int) -> str | None:
    if failures < FAILURES_ALLOWED:
        return None
    return f"the broker refused its message {failures} times"
