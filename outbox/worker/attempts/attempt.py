"""One attempt at a job, and the rules by which its end becomes a transition, without any I/O.

`Attempt.failed` is a generator: it yields the steps that it wants taken, each a row to write or a
pause, and is sent the answers. A thread blocks for them, the event loop awaits them, so both follow
the same rules. Everything is written before the message is answered. So once the message is
acknowledged, Postgres knows the outcome. If the process dies before that, the job is still running
in Postgres and will be rescued.

While the process lives and owns the job, only a record ends an attempt. If making that record
fails, a plain one is made that consults neither the error nor the retry policy. What is recorded is
told as an event, once.
"""

import traceback
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import psycopg
import structlog
from pydantic import BaseModel

from outbox.actors import Actor
from outbox.errors import (
    Interrupted,
    JobCancelled,
    RateLimited,
    Snooze,
    Superseded,
    TimeLimitExceeded,
    Uncertain,
    WorkerStopping,
)
from outbox.events import Died, JobEvent, Postponed, Retried, Snoozed
from outbox.job import Claim, Job
from outbox.postgres.causes import causes
from outbox.postgres.outages import is_own_conflict, is_own_demotion, is_own_outage
from outbox.retry import Retry
from outbox.store import transitions
from outbox.submission.wake_up import NOTIFY
from outbox.values.result import UnstorableResult, storable
from outbox.worker.attempts.attempt_events import NOT_OURS, error_of, events_of
from outbox.worker.records.claims import rates_of
from outbox.worker.records.failure_record import UNKNOWN_FAILURE, Failure, FailureRecorder
from outbox.worker.records.group_commit import GroupCommitClosed
from outbox.worker.records.statements import PROBE

log = structlog.get_logger(__name__)

OUTAGE_DELAY_SECONDS = 1.0
"""Delay before the next run after an outage of Postgres or a conflict of transactions."""
OUTAGE_SPREADS_SECONDS = 1.0
"""How long an outage may take to end all of the worker's connections."""

Row = dict[str, Any]
T = TypeVar("T")


class GroupCommitState(Protocol):
    """What an attempt asks the group commit without waiting."""

    lost_at: float

    def notify(self, notification: str) -> None:
        """Send the relays a notification."""


@dataclass(frozen=True, slots=True)
class Write:
    """The step of writing a row. Its answer is the group commit's: a row, None or an error."""

    statement: str
    row: Row


@dataclass(frozen=True, slots=True)
class Pause:
    """The step of waiting. Its answer is None."""

    seconds: float


Steps = Generator[Write | Pause, Any, T]
"""Steps to take. In the end it returns, or raises GroupCommitClosed with nothing recorded."""


class Attempt:
    """One run of one job, and what is to be recorded of how it ended."""

    def __init__(
        self,
        actor: Actor[Any, Any],
        job: Job,
        queue: str,
        claim: Claim,
        group_commit: GroupCommitState,
        patience: timedelta,
        uniform: Callable[[float, float], float] | None = None,
    ) -> None:
        self.actor = actor
        self.kind = actor.kind
        self.job = job
        self._claim = claim
        self._group_commit = group_commit
        self._patience = patience
        self._uniform = uniform
        self._spent = claim.attempt - claim.attempt_limit + claim.attempt_budget
        self._fence: Row = {"id": str(job.id), "dispatch": job.dispatch, "attempt": claim.attempt}
        self._failure_recorder = FailureRecorder(actor.kind, claim.payload)
        self._is_valid = False
        self._seconds = 0.0
        self.events = events_of(job, queue, claim)
        job.on_completed = self.events.committed

    @property
    def fence(self) -> tuple[str, int, int]:
        """Job id, dispatch and attempt."""
        return str(self.job.id), self.job.dispatch, self.job.attempt

    @property
    def is_open(self) -> bool:
        """Whether no transaction has completed the job or is committing its completion."""
        return not (self.job.completed or self.job.is_committing)

    def progress_row(self, report: str) -> Row:
        """The row of SAVE_PROGRESS."""
        return self._fence | {"progress": report}

    def payload(self) -> BaseModel:
        """The payload for the actor. Raises what its validation raises."""
        payload: BaseModel = self.kind.parse(self._claim.payload).payload
        self._is_valid = True
        return payload

    def succeeded(self, returned: Any) -> Row | None:
        """The row of SUCCEED to write after the actor returned. Raises UnstorableResult.

        None if the actor's transaction has completed the job.
        """
        self.job.cancellation.end()
        if not self.job.completed:
            self._seconds = self.events.seconds
            result = self.job.result if returned is None else returned
            return self._fence | {"result": storable(result)}
        if returned is not None:
            log.error("returned a result after its transaction had completed the job")
        return None

    def answered(self, *, is_ours: bool) -> None:
        """Tell whether its success was recorded, or fenced off because the job is not ours."""
        if is_ours:
            self.events.succeeded(self._seconds)
        else:
            self.events.superseded(NOT_OURS)

    def failed(self, error: BaseException) -> Steps[bool]:
        """Record what the actor, or what runs it, raised. Returns whether the job is now dead."""
        try:
            if isinstance(error, WorkerStopping):
                return (yield from self.hand_back())
            return (yield from self._record(error))
        except (GroupCommitClosed, GeneratorExit):
            raise
        except BaseException as raised:  # noqa: BLE001 - whatever it is, the attempt has ended
            error_type = type(raised).__qualname__
        with suppress(Exception):
            log.error("cannot record how it ended", error_type=error_type)
        return (yield from self._retry_while_left(Retry().backoff(self._spent), UNKNOWN_FAILURE))

    def hand_back(self) -> Steps[bool]:
        """Requeue the job for another worker at once, without spending the attempt.

        For a worker that stops while the actor still runs: what the actor does from now on is
        fenced. Returns that the job is not dead.
        """
        yield from self._snooze(0, "its worker is stopping")
        return False

    def give_up(self) -> Steps[bool]:
        """Record a timeout, because the attempt did not respond to its time limit.

        For a worker that is about to be replaced because of it.
        """
        return self._retry_or_die(TimeLimitExceeded("it did not respond to its time limit"))

    def _record(self, error: BaseException) -> Steps[bool]:
        for each in causes(error):
            # The actor's frames may hold all the memory there is, and the record needs some.
            traceback.clear_frames(each.__traceback__)
        if report := self.job.reports.take_last():
            yield Write(transitions.SAVE_PROGRESS, self.progress_row(report))
        if self.job.completed:
            told = error_of(self._describe("failed", error))
            log.error("failed after its transaction had completed the job", **told)
        elif isinstance(error, JobCancelled) and self.job.cancelled:
            yield from self._stop()
        elif isinstance(error, Exception) and not self._is_valid:
            return (yield from self._put_off_or_die(self._describe("failed", error)))
        elif isinstance(error, Snooze):
            delay, why = error.delay.total_seconds(), self._failure_recorder.text(error)
            rates = rates_of(self.kind) if isinstance(error, RateLimited) else {}
            yield from self._snooze(delay, why, asked=True, **rates)
        elif isinstance(error, Superseded | Interrupted):
            self.events.superseded(self._failure_recorder.text(error) or NOT_OURS)
        elif is_own_conflict(error):
            yield from self._snooze(OUTAGE_DELAY_SECONDS, "its transaction conflicted with another")
        elif is_own_demotion(error) or (yield from self._is_outage(error)):
            yield from self._snooze(OUTAGE_DELAY_SECONDS, "Postgres is unavailable")
        else:
            return (yield from self._retry_or_die(error))
        return False

    def _stop(self) -> Steps[None]:
        """End the job as cancelled. Its attempt leaves no error, because it has not failed."""
        if (yield from _write(transitions.STOP, self._fence)) is None:
            self.events.superseded(NOT_OURS)
        else:
            self.events.cancelled()

    def _is_outage(self, error: BaseException) -> Steps[bool]:
        """Whether Postgres was unavailable: the group commit must have lost its connection too.

        The actor's connection alone proves nothing, because a job can end its own.
        """
        if not is_own_outage(error):
            return False
        # An outage ends connections one by one, and perhaps the group commit's after this one.
        yield Pause(OUTAGE_SPREADS_SECONDS)
        yield from _write(PROBE, {})
        return self._group_commit.lost_at >= self.events.began

    def _retry_or_die(self, error: BaseException) -> Steps[bool]:
        failure = self._describe(_outcome(error), error)
        policy = self.kind.retry
        if isinstance(error, UnstorableResult) or not policy.allows(error):
            return (yield from self._die("refused", failure))
        if isinstance(error, Uncertain):
            earlier = yield from self._count_uncertain()
            if earlier >= policy.uncertain:
                return (yield from self._die("uncertain", failure))
        delay = policy.delay(self._spent, error, self._uniform)
        return (yield from self._retry_while_left(delay, failure))

    def _count_uncertain(self) -> Steps[int]:
        """How many earlier attempts ended uncertain since the job was submitted or replayed."""
        forgiven = self._claim.attempt_limit - self._claim.attempt_budget
        asked = {"id": self._fence["id"], "forgiven": forgiven}
        row = yield from _write(transitions.COUNT_UNCERTAIN, asked)
        count: int = row.uncertain
        return count

    def _put_off_or_die(self, failure: Failure) -> Steps[bool]:
        """Leave a payload that is invalid here to other workers: another release may accept it.

        The job dies once workers have refused it for `patience`.
        """
        error, worker = failure["error_message"], self.job.worker
        why = f"worker {worker} does not understand its payload: {error}"
        refusal = {"kind": "", "queue": "", "why": why}
        patience = {"patience_seconds": self._patience.total_seconds()}
        row = self._fence | refusal | patience | self.events.kept
        if (yield from _write(transitions.POSTPONE, row)) is None:
            return (yield from self._die("invalid_payload", failure))
        self.events.ended("queued", Postponed(**self.events.about, why=why))
        return False

    def _retry_while_left(self, delay: timedelta, failure: Failure) -> Steps[bool]:
        if self._claim.attempt >= self._claim.attempt_limit:
            return (yield from self._die("exhausted", failure))
        seconds, error = delay.total_seconds(), error_of(failure)
        retried = Retried(**self.events.about, **error, delay_seconds=seconds)
        yield from self._write(transitions.RETRY, {"delay_seconds": seconds}, failure, retried)
        self._group_commit.notify(NOTIFY)
        return False

    def _die(self, reason: str, failure: Failure) -> Steps[bool]:
        died = Died(**self.events.about, reason=reason, **error_of(failure))
        yield from self._write(transitions.DIE, {"reason": reason}, failure, died)
        return True

    def _snooze(
        self, seconds: float, why: str, *, asked: bool = False, **rates: str
    ) -> Steps[None]:
        about = self.events.about
        snoozed = Snoozed(**about, why=why, delay_seconds=seconds, is_asked=asked)
        transition = transitions.RATE_LIMITED if rates else transitions.SNOOZE
        yield from self._write(transition, {"delay_seconds": seconds, **rates}, {}, snoozed)

    def _write(self, transition: str, row: Row, failure: Failure, end: JobEvent) -> Steps[None]:
        """Write the transition, without the failure's text if Postgres cannot store that.

        Then tell how the attempt ended.
        """
        row, seconds = self._fence | row | self.events.kept, self.events.seconds
        try:
            written = yield from _write(transition, row | failure)
        except psycopg.Error:
            if not failure:
                raise
            unknown = UNKNOWN_FAILURE | {"outcome": failure["outcome"]}
            written = yield from _write(transition, row | unknown)
        if written is None:
            self.events.superseded(NOT_OURS)
            return
        if failure:
            self.events.failed(failure["outcome"], error_of(failure), seconds)
        self.events.ended(written.state, end)

    def _describe(self, outcome: str, error: BaseException) -> Failure:
        return self._failure_recorder.record(outcome, error)


def take(steps: Steps[T], answer: Callable[[Write | Pause], Any]) -> T:
    """Take the steps one by one, and return what they lead to."""
    try:
        step = next(steps)
        while True:
            step = steps.send(answer(step))
    except StopIteration as end:
        result: T = end.value
        return result


async def take_async(steps: Steps[T], answer: Callable[[Write | Pause], Awaitable[Any]]) -> T:
    """As `take`, but await the answers."""
    try:
        step = next(steps)
        while True:
            step = steps.send(await answer(step))
    except StopIteration as end:
        result: T = end.value
        return result


def _write(statement: str, row: Row) -> Steps[Any]:
    """Write a row; returns the statement's row, or None if it was fenced off. Raises errors."""
    answer = yield Write(statement, row)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _outcome(error: BaseException) -> str:
    if isinstance(error, TimeLimitExceeded):
        return "timed_out"
    return "uncertain" if isinstance(error, Uncertain) else "failed"
