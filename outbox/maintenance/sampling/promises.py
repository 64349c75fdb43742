"""The promise meter: counts jobs that nothing will move any more. There must be none."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.orm import Session

from outbox.maintenance.sampling.walk import DEAD, QUEUED, Walk
from outbox.maintenance.sampling.workers import Orphans


class PromiseMeter:
    """Looks at a part of the jobs at a time, and remembers what is broken until it is repaired.

    Each statement sees one moment, and each transition is one statement. So a job on its way from
    one state to the next is never taken for broken.
    """

    def __init__(self, silence: timedelta, interval: float) -> None:
        """The arguments are those of `Orphans`."""
        self._queued = Walk(QUEUED)
        self._dead = Walk(DEAD)
        self._orphans = Orphans(silence, interval)

    def look(self, session: Session) -> Mapping[str, int]:
        """How many jobs break each promise, as far as they were looked at. Raises its errors."""
        return {
            "queued_without_event": self._queued.look(session),
            "running_without_worker": self._orphans.look(session),
            "dead_without_letter": self._dead.look(session),
        }
