"""Interrupts jobs with limits before Postgres may take this worker for dead."""

import time
from datetime import timedelta

import structlog

from outbox.worker.heartbeat import Heartbeat
from outbox.worker.in_flight import InFlight
from outbox.worker.periodic import Periodic

log = structlog.get_logger(__name__)

SILENCE = timedelta(seconds=10)
"""After how long without a heartbeat a worker is taken for dead, unless told otherwise."""
CHECK_SECONDS = 0.2
SHARE_OF_SILENCE = 2 / 3
"""The part of the silence after which jobs are interrupted; the rest is for them to end."""


class Lease(Periodic):
    """Each answered heartbeat lets jobs with limits run for two thirds of the `silence`.

    Once a relay has taken the worker for dead, the next job of the key may start elsewhere. Other
    jobs run on: all that they do in Postgres is fenced. What was interrupted is still `running` in
    Postgres; if that hears of the worker in time, `Ownership` hands it back, and no attempt is
    spent. A call into C is not interrupted.
    """

    def __init__(self, silence: timedelta, heartbeat: Heartbeat, in_flight: InFlight) -> None:
        super().__init__("lease", CHECK_SECONDS, self._check)
        self._seconds = silence.total_seconds() * SHARE_OF_SILENCE
        self._heartbeat = heartbeat
        self._in_flight = in_flight

    def _check(self) -> None:
        if time.monotonic() - self._heartbeat.sent_at < self._seconds:
            return
        for job in self._in_flight.claimed:
            if job.attempt.kind.is_limited and job.attempt.is_open and not job.is_lost:
                why = "Postgres has not answered a heartbeat for long"
                log.warning("interrupted", **job.attempt.events.log_fields, why=why)
                job.interrupt()
