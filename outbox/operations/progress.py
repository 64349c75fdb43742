"""How far a job is, as clients and operators see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ProgressRecord:
    """What the job's actor said last, and when. Kept when the job is tried again.

    `ends_at` is an estimate, from the rate of the attempt that runs; None if that is unknown.
    """

    done: float
    total: float | None
    note: str | None
    at: datetime
    attempt: int
    ends_at: datetime | None

    @property
    def share(self) -> float | None:
        """How much of the whole is done, from 0 to 1; None if the total is unknown."""
        if self.total is None:
            return None
        return self.done / self.total if self.total else 1.0


def read(stored: Mapping[str, Any] | None, running: int | None) -> ProgressRecord | None:
    """The progress that SAVE_PROGRESS has stored. `running` is the attempt that runs, if any."""
    if stored is None:
        return None
    done, total, attempt = stored["done"], stored["total"], stored["attempt"]
    at = datetime.fromisoformat(stored["at"])
    ends_at = None
    if total is not None and attempt == running:
        since = datetime.fromisoformat(stored["since"])
        ends_at = _estimate(done - stored["from"], total - done, since, at)
    return ProgressRecord(done, total, stored["note"], at, attempt, ends_at)


def _estimate(done: float, left: float, since: datetime, at: datetime) -> datetime | None:
    if done <= 0 or at <= since:
        return None
    try:
        return at + (at - since) * (left / done)
    except OverflowError:  # a job of centuries
        return None
