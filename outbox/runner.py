"""Runs one job from its message: claim, validate, run, record. What the worker does all day.

Everything is written inside the call that Dramatiq makes, never in its after-hooks, which swallow
exceptions and then acknowledge. So when the message is acknowledged, Postgres knows the outcome;
and if the process dies before, the job is still queued or running there, to be run or rescued.
"""

import json
import traceback
from collections.abc import Callable
from typing import Any, NoReturn
from uuid import UUID

import psycopg
import structlog
from pydantic import ValidationError
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from outbox import steps
from outbox.actor import Actor
from outbox.broker import Dead, GiveBack
from outbox.database import is_unreachable
from outbox.job import Job, Superseded
from outbox.kinds import Work
from outbox.ledger import Ledger, LedgerClosed
from outbox.redaction import scrub
from outbox.retry import Snooze
from outbox.time_limit import TimeLimitExceeded, TimeLimits

log = structlog.get_logger(__name__)

DATABASE_AWAY_SECONDS = 1.0
LONGEST_MESSAGE = 10_000
LONGEST_TRACEBACK = 50_000


class UnstorableResult(Exception):
    """What the actor returned is no JSON value that Postgres can keep."""


class Runner:
    """What Dramatiq calls for each message of one kind.

    `held` is shared by all runners of the process: a second message of a job that this process
    runs already is a duplicate, and dropped.
    """

    def __init__(
        self,
        actor: Actor,
        ledger: Ledger,
        sessions: Callable[[], Session],
        limits: TimeLimits,
        held: dict[UUID, object],
    ) -> None:
        self._actor = actor
        self._ledger = ledger
        self._sessions = sessions
        self._limits = limits
        self._held = held

    def __call__(self, job_id: str, dispatch: int) -> None:
        """Do the job, if this message is its current dispatch. Raises Dead or GiveBack."""
        me, id_ = object(), UUID(job_id)
        if self._held.setdefault(id_, me) is not me:
            return
        try:
            with bound_contextvars(job=job_id, kind=self._actor.kind.name):
                self._claim_and_run(id_, dispatch)
        except LedgerClosed:
            raise GiveBack from None
        finally:
            del self._held[id_]

    def _claim_and_run(self, job_id: UUID, dispatch: int) -> None:
        claim = self._ledger.write(steps.CLAIM, {"id": job_id, "dispatch": dispatch})
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
        _Attempt(self._actor, self._ledger, self._limits, job, claim).run()


class _Attempt:
    """One run of one job, and the record of how it ended."""

    def __init__(
        self, actor: Actor, ledger: Ledger, limits: TimeLimits, job: Job, claim: Any
    ) -> None:
        self._actor = actor
        self._kind = actor.kind
        self._ledger = ledger
        self._limits = limits
        self._job = job
        self._claim = claim

    def run(self) -> None:
        """Run the actor and record the outcome. Raises Dead where the job is dead now."""
        log.info("started", attempt=self._job.attempt)
        try:
            work = self._kind.parse(self._claim.payload)
        except ValidationError as error:
            self._die("invalid_payload", "failed", error)
        try:
            self._do(work)
        except Snooze as snooze:
            self._snooze(snooze.delay.total_seconds(), str(snooze))
        except Superseded as superseded:
            log.warning("superseded", why=str(superseded))
        except LedgerClosed:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit, too, is how an attempt ended
            self._failed(error)

    def _do(self, work: Work[Any]) -> None:
        with self._limits.limit(self._kind.time_limit):
            result = self._actor.function(work.payload, self._job)
        if not self._job.completed:
            self._write(steps.SUCCEED, {"result": _storable(result)})
        log.info("succeeded", attempt=self._job.attempt)

    def _failed(self, error: BaseException) -> None:
        if self._job.completed:
            log.error("failed after its transaction had completed it", error=self._text(error))
        elif is_unreachable(error):
            self._snooze(DATABASE_AWAY_SECONDS, "Postgres is away")
        else:
            self._retry_or_die(error)

    def _retry_or_die(self, error: BaseException) -> None:
        outcome = "timed_out" if isinstance(error, TimeLimitExceeded) else "failed"
        policy = self._kind.retry
        if not policy.allows(error) or isinstance(error, UnstorableResult | psycopg.DataError):
            self._die("refused", outcome, error)
        if self._job.attempt >= self._job.attempt_limit:
            self._die("exhausted", outcome, error)
        spent = self._job.attempt - self._job.attempt_limit + self._claim.attempt_budget
        delay = policy.delay(spent, error).total_seconds()
        log.warning("failed, to be retried", error=self._text(error), delay_seconds=round(delay, 1))
        self._write(steps.RETRY, self._error(outcome, error) | {"delay_seconds": delay})
        self._ledger.nudge()

    def _die(self, reason: str, outcome: str, error: BaseException) -> NoReturn:
        log.error("dead", reason=reason, attempt=self._job.attempt, error=self._text(error))
        self._write(steps.DIE, self._error(outcome, error) | {"reason": reason})
        raise Dead(reason)

    def _snooze(self, seconds: float, why: str) -> None:
        log.info("snoozed", delay_seconds=seconds, why=why)
        self._write(steps.SNOOZE, {"delay_seconds": seconds})

    def _write(self, step: str, row: dict[str, Any]) -> None:
        fence = {"id": self._job.id, "dispatch": self._job.dispatch, "attempt": self._job.attempt}
        if self._ledger.write(step, fence | row) is None:
            log.warning("superseded", why="the job was taken from this worker")

    def _error(self, outcome: str, error: BaseException) -> dict[str, Any]:
        return {
            "outcome": outcome,
            "error_type": type(error).__qualname__,
            "error_message": self._text(error),
            "traceback": self._clean(_trace(error))[-LONGEST_TRACEBACK:],
        }

    def _text(self, error: BaseException) -> str:
        if isinstance(error, ValidationError):
            error = ValueError(error.errors(include_input=False, include_url=False))
        return self._clean(str(error))[:LONGEST_MESSAGE]

    def _clean(self, text: str) -> str:
        """Without sensitive values, and without what Postgres cannot keep in a text."""
        storable = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
        return scrub(storable, self._kind, self._claim.payload)


def _trace(error: BaseException) -> str:
    """The traceback from the actor on.

    For a validation error without its text, which quotes the input shortened, beyond `scrub`.
    """
    frames = error.__traceback__
    while frames and frames.tb_frame.f_globals["__name__"] == __name__:
        frames = frames.tb_next
    if isinstance(error, ValidationError):
        return "".join(traceback.format_tb(frames))
    return "".join(traceback.format_exception(type(error), error, frames))


def _storable(result: Any) -> str | None:
    if result is None:
        return None
    try:
        text = json.dumps(result, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UnstorableResult(str(error)) from None
    if "\\u0000" in text:
        raise UnstorableResult("Postgres keeps no NUL in a text")
    return text
