"""From a message to an attempt: what Dramatiq calls."""

from collections.abc import Callable
from uuid import UUID

import structlog
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from outbox import steps
from outbox.actor import Actor
from outbox.attempt import Attempt
from outbox.broker import GiveBack
from outbox.desk import Desk
from outbox.job import Job
from outbox.ledger import Ledger, LedgerClosed
from outbox.time_limit import TimeLimits

log = structlog.get_logger(__name__)


class Runner:
    """Does the jobs of one kind, one message at a time in each thread."""

    def __init__(
        self,
        actor: Actor,
        ledger: Ledger,
        sessions: Callable[[], Session],
        limits: TimeLimits,
        desk: Desk,
    ) -> None:
        self._actor = actor
        self._ledger = ledger
        self._sessions = sessions
        self._limits = limits
        self._desk = desk

    def __call__(self, job_id: str, dispatch: int) -> None:
        """Do the job, if this message is its current dispatch. Raises Dead or GiveBack.

        If the process dies before the claim, the broker delivers the message again; if after it,
        the job is rescued.
        """
        with self._desk.place(UUID(job_id), dispatch) as is_free:
            if not is_free:
                return  # a duplicate of what this process runs
            try:
                with bound_contextvars(job=job_id, kind=self._actor.kind.name):
                    self._claim_and_run(UUID(job_id), dispatch)
            except LedgerClosed:
                raise GiveBack from None

    def _claim_and_run(self, job_id: UUID, dispatch: int) -> None:
        asked = {"id": job_id, "dispatch": dispatch, "kind": self._actor.kind.name}
        claim = self._ledger.write(steps.CLAIM, asked)
        if claim is None:
            log.debug("message is stale", dispatch=dispatch)
            return
        job = Job(
            id=job_id,
            kind=self._actor.kind.name,
            dispatch=dispatch,
            attempt=claim.attempt,
            attempt_limit=claim.attempt_limit,
            subject=claim.subject,
            sessions=self._sessions,
            nudge=self._ledger.nudge,
        )
        attempt = Attempt(self._actor, self._ledger, self._limits, job, claim)
        self._desk.lay(attempt)
        attempt.run()
