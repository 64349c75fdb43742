"""Runs claimed jobs and hands in their records: what Dramatiq calls as its actors."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from outbox.actors import Actor
from outbox.amqp.messages import Dispatch
from outbox.job import Job
from outbox.store import transitions
from outbox.worker.attempt import Attempt
from outbox.worker.broker import GiveBack
from outbox.worker.claimer import Claimer
from outbox.worker.in_flight import ClaimedJob, InFlight
from outbox.worker.records.group_commit import GroupCommit, GroupCommitClosed
from outbox.worker.time_limit import TimeLimits


class Executor:
    """Runs the jobs of one kind, one at a time on each thread."""

    def __init__(
        self,
        actor: Actor,
        group_commit: GroupCommit,
        sessions: Callable[[], Session],
        limits: TimeLimits,
        in_flight: InFlight,
        claimer: Claimer,
        patience: timedelta,
    ) -> None:
        self._actor = actor
        self._group_commit = group_commit
        self._sessions = sessions
        self._limits = limits
        self._in_flight = in_flight
        self._claimer = claimer
        self._patience = patience

    def prepare(self, dispatch: Dispatch, claim: Any) -> Attempt:
        """The attempt for a dispatch and the row that its claim returned."""
        job = Job(
            id=UUID(dispatch.job_id),
            kind=dispatch.kind,
            dispatch=dispatch.dispatch,
            attempt=claim.attempt,
            attempt_limit=claim.attempt_limit,
            worker=self._group_commit.name,
            subject=claim.subject,
            sessions=self._sessions,
            wake_up=self._group_commit.wake_up,
        )
        return Attempt(self._actor, self._group_commit, self._limits, job, claim, self._patience)

    def __call__(self, job_id: str, dispatch: int) -> None:
        """Run the claimed job. Raises Dead or GiveBack.

        A success is handed to the group commit, which acknowledges the message once the success is
        on record; the thread does not wait. Any other outcome is on record when this returns. If
        the process dies in between, the job is rescued.
        """
        claimed = self._in_flight.find(job_id, dispatch)
        with bound_contextvars(job=job_id, kind=self._actor.kind.name):
            success = self._run(claimed.attempt)
        if success is None:
            return
        claimed.item.message.is_recorded = False
        self._group_commit.post(transitions.SUCCEED, success, partial(self._recorded, claimed))

    def _run(self, attempt: Attempt) -> dict[str, Any] | None:
        """Run the attempt; return the success that is still to be recorded, if any."""
        success = None
        try:
            success = attempt.run()
        except GroupCommitClosed:
            raise GiveBack from None
        finally:
            if success is None:
                self._in_flight.remove(attempt.dispatch_id)
        return success

    def _recorded(self, claimed: ClaimedJob, answer: Any) -> None:
        """Take the answer to the record of a success, on the group-commit thread."""
        message, attempt = claimed.item.message, claimed.attempt
        if isinstance(answer, psycopg.Error):
            attempt.reject_result(answer)
            return self._claimer.run_again(claimed)
        if not isinstance(answer, Exception):
            attempt.log_success(is_ours=answer is not None)
            message.consumer.settle(message)
        return self._in_flight.remove(attempt.dispatch_id)
