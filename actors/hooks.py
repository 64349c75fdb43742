"""Deletes old events that came by webhook."""

from datetime import timedelta

import structlog
from sqlalchemy import Row, delete, func, select
from sqlalchemy.orm import Session

from outbox import Job, actor
from service.hooks.kinds import PRUNE_HOOK_EVENTS, PruneHookEvents
from service.hooks.models import HookEvent
from service.settings import settings

AT_ONCE = 1000
"""How many are deleted in a transaction: short ones keep no event that comes waiting."""

log = structlog.stdlib.get_logger(__name__)


@actor(PRUNE_HOOK_EVENTS)
def prune(_: PruneHookEvents, job: Job) -> dict[str, int]:
    """Delete what is older than `Settings.keep_hook_events`; the result is how many there were.

    If the process dies, what it deleted stays deleted, and the next attempt deletes the rest.
    """
    deleted = {"taken": 0, "unknown": 0}
    keep = settings().keep_hook_events
    while keep is not None:
        with job.sessions() as session, session.begin():
            found = _delete_some(session, keep)
        unknown = sum(row.job_id is None for row in found)
        deleted["unknown"] += unknown
        deleted["taken"] += len(found) - unknown
        if len(found) < AT_ONCE:
            break
    if deleted["unknown"]:
        log.warning("events that became no job were deleted", count=deleted["unknown"])
    return deleted


def _delete_some(session: Session, keep: timedelta) -> list[Row[tuple[object]]]:
    oldest = (
        select(HookEvent.id)
        .where(HookEvent.received_at < func.now() - keep)
        .order_by(HookEvent.received_at)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    gone = delete(HookEvent).where(HookEvent.id.in_(oldest)).returning(HookEvent.job_id)
    return list(session.execute(gone))


ACTORS = (prune,)
