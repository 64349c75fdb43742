"""The promise meter: counts jobs that nothing will move any more. There must be none."""

from collections.abc import Mapping
from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from outbox.maintenance.sampling.walk import DEAD, QUEUED, Walk
from outbox.maintenance.sampling.workers import Orphans

log = structlog.get_logger(__name__)

MOST_NAMED = 10
"""So many of the jobs are named in the log."""


class PromiseMeter:
    """Looks at a part of the jobs at a time, and remembers what is broken until it is repaired.

    Each statement sees one moment, and each transition is one statement. So a job on its way from
    one state to the next is never taken for broken.
    """

    def __init__(self, silence: timedelta, interval: float) -> None:
        """The arguments are those of `Orphans`."""
        self._watched: Mapping[str, Walk | Orphans] = {
            "queued_without_event": Walk(QUEUED),
            "running_without_worker": Orphans(silence, interval),
            "dead_without_letter": Walk(DEAD),
        }
        self._told: Mapping[str, int] = {}

    def look(self, session: Session) -> Mapping[str, int]:
        """How many jobs break each promise, as far as they were looked at. Raises its errors.

        When a number changes, some of the jobs are named in the log.
        """
        found = {promise: each.look(session) for promise, each in self._watched.items()}
        for promise, count in found.items():
            if count and count != self._told.get(promise):
                jobs = [str(job) for job in self._watched[promise].some(session, MOST_NAMED)]
                log.error("promise broken", promise=promise, count=count, jobs=jobs)
        self._told = found
        return found
