"""From a claimed job to an attempt and its record: what Dramatiq calls."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import structlog
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from outbox import steps
from outbox.actor import Actor
from outbox.attempt import Attempt
from outbox.broker import GiveBack
from outbox.claims import Claims
from outbox.desk import Desk, InHand
from outbox.job import Job
from outbox.ledger import Ledger, LedgerClosed
from outbox.time_limit import TimeLimits
from outbox.wire import Dispatch

log = structlog.get_logger(__name__)


class Runner:
    """Does the jobs of one kind, one at a time in each thread."""

    def __init__(
        self,
        actor: Actor,
        ledger: Ledger,
        sessions: Callable[[], Session],
        limits: TimeLimits,
        desk: Desk,
        claims: Claims,
        patience: timedelta,
    ) -> None:
        self._actor = actor
        self._ledger = ledger
        self._sessions = sessions
        self._limits = limits
        self._desk = desk
        self._claims = claims
        self._patience = patience

    def prepare(self, dispatch: Dispatch, claim: Any) -> Attempt:
        """The attempt that was claimed."""
        job = Job(
            id=UUID(dispatch.job_id),
            kind=dispatch.kind,
            dispatch=dispatch.dispatch,
            attempt=claim.attempt,
            attempt_limit=claim.attempt_limit,
            worker=self._ledger.name,
            subject=claim.subject,
            sessions=self._sessions,
            nudge=self._ledger.nudge,
        )
        return Attempt(self._actor, self._ledger, self._limits, job, claim, self._patience)

    def __call__(self, job_id: str, dispatch: int) -> None:
        """Do the job, which is claimed. Raises Dead or GiveBack.

        A success is handed to the ledger, which acknowledges the message once it is on record; the
        thread goes on. Anything else is on record when this returns. If the process dies in
        between, the job is rescued.
        """
        in_hand = self._desk.find(job_id, dispatch)
        with bound_contextvars(job=job_id, kind=self._actor.kind.name):
            success = self._run(in_hand.attempt)
        if success is None:
            return
        in_hand.item.message.is_on_record = False
        self._ledger.post(steps.SUCCEED, success, partial(self._recorded, in_hand))

    def _run(self, attempt: Attempt) -> dict[str, Any] | None:
        """What the ledger has to record yet, if anything."""
        success = None
        try:
            success = attempt.run()
        except LedgerClosed:
            raise GiveBack from None
        finally:
            if success is None:
                self._desk.clear(attempt.place)
        return success

    def _recorded(self, in_hand: InHand, answer: Any) -> None:
        """On the ledger's thread: the success is written, or it is not."""
        message, attempt = in_hand.item.message, in_hand.attempt
        if isinstance(answer, psycopg.Error):
            attempt.refuse_result(answer)
            return self._claims.hand_out_again(in_hand)
        if not isinstance(answer, Exception):
            attempt.tell_success(is_ours=answer is not None)
            message.consumer.settle(message)
        return self._desk.clear(attempt.place)
