"""One attempt at a job: validate the payload, run the actor, record the outcome.

Everything is written inside the call that Dramatiq makes, never in its after-hooks, which swallow
exceptions and then acknowledge. So once the message is acknowledged, Postgres knows the outcome. If
the process dies before that, the job is still running in Postgres and will be rescued.

While the process lives and owns the job, only a record ends an attempt. If making that record
fails, a plain one is made that consults neither the error nor the retry policy.
"""

import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NoReturn

import psycopg
import structlog

from outbox.actors import Actor
from outbox.errors import Interrupted, Snooze, Superseded, TimeLimitExceeded, Uncertain
from outbox.job import Job
from outbox.postgres.causes import causes
from outbox.postgres.outages import is_own_conflict, is_own_demotion, is_own_outage
from outbox.retry import Retry
from outbox.store import transitions
from outbox.values.result import UnstorableResult, storable
from outbox.worker.broker import Dead
from outbox.worker.records.failure_record import UNKNOWN_FAILURE, FailureRecorder
from outbox.worker.records.group_commit import GroupCommit, GroupCommitClosed
from outbox.worker.time_limit import TimeLimits, Watch

log = structlog.get_logger(__name__)

OUTAGE_DELAY_SECONDS = 1.0
"""Delay before the next run after an outage of Postgres or a conflict of transactions."""
OUTAGE_SPREADS_SECONDS = 1.0
"""How long an outage may take to end all of the worker's connections."""
NOT_OURS = "this worker no longer owns the job"


class Attempt:
    """One run of one job, and the record of how it ended."""

    def __init__(
        self,
        actor: Actor,
        group_commit: GroupCommit,
        limits: TimeLimits,
        job: Job,
        claim: Any,
        patience: timedelta,
    ) -> None:
        self._actor = actor
        self._kind = actor.kind
        self._group_commit = group_commit
        self._limits = limits
        self.job = job
        self.dispatch_id = str(job.id), job.dispatch
        self._claim = claim
        self._patience = patience
        self._spent = claim.attempt - claim.attempt_limit + claim.attempt_budget
        self._fence = {"id": str(job.id), "dispatch": job.dispatch, "attempt": claim.attempt}
        self._failure_recorder = FailureRecorder(actor.kind, claim.payload)
        self._process = os.getpid()
        self._thread: int | None = None
        self._is_valid = False
        self._is_lost = False
        self._watch: Watch | None = None
        self._rejection: psycopg.Error | None = None
        self._began = -math.inf
        self._busy_since: float | None = None
        self._seconds = 0.0

    @property
    def has_begun(self) -> bool:
        """Whether a thread has started it."""
        return self._thread is not None

    @property
    def fence(self) -> tuple[str, int, int]:
        """Job id, dispatch and attempt."""
        return (*self.dispatch_id, self.job.attempt)

    @property
    def is_open(self) -> bool:
        """Whether no transaction has completed the job or is committing its completion."""
        return not (self.job.completed or self.job.is_committing)

    def run(self) -> dict[str, Any] | None:
        """Run the actor; return the row of SUCCEED still to be written, or None.

        None means that the outcome is on record. Raises Dead if the job is now dead, and
        GroupCommitClosed if the worker is stopping with nothing recorded.
        """
        self._thread = threading.get_ident()
        self._began = self._busy_since = time.monotonic()
        try:
            return self._run()
        except (Dead, GroupCommitClosed):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the attempt has ended
            self._record_unknown_failure(error)
            return None

    def reject_result(self, why: psycopg.Error) -> None:
        """Make the next `run` record that Postgres cannot store the result, and run nothing."""
        self._rejection = why

    def log_success(self, *, is_ours: bool) -> None:
        """Log whether the success was recorded, or fenced off because the job is not ours."""
        fields = {"job": str(self.job.id), "kind": self.job.kind, "attempt": self.job.attempt}
        if is_ours:
            log.info("succeeded", **fields, seconds=self._seconds)
        else:
            log.warning("superseded", why=NOT_OURS, **fields)

    def interrupt(self) -> None:
        """Stop the run, or keep it from starting: this worker no longer owns the job.

        Records nothing. A call into C is not interrupted, but whatever the actor does afterwards is
        fenced.
        """
        log.warning("interrupted", job=str(self.job.id), why=NOT_OURS)
        self._is_lost = True
        if self._watch is not None:
            self._limits.interrupt(self._watch)

    def hand_back(self) -> None:
        """Requeue the job for another worker at once, without spending the attempt.

        For a worker that stops while the actor still runs: what the actor does from now on is
        fenced.
        """
        self._snooze(0, "its worker is stopping")

    def give_up(self) -> None:
        """Record a timeout, because the attempt did not respond to its time limit.

        For a worker that is about to be replaced because of it.
        """
        with suppress(Dead):
            self._retry_or_die(TimeLimitExceeded("it did not respond to its time limit"))

    def is_stuck(self, margin: timedelta) -> bool:
        """Whether it still runs `margin` past its time limit, for example in a call into C.

        Waiting for the group commit or for its own COMMIT does not count. Either may take as long
        as Postgres, or a standby that Postgres waits for, is unavailable.
        """
        busy_since = self._busy_since
        if busy_since is None or self.job.is_committing:
            return False
        return time.monotonic() > busy_since + (self._kind.time_limit + margin).total_seconds()

    def where(self) -> str:
        """The stack of the actor's thread, for the log."""
        frames = sys._current_frames()  # noqa: SLF001 - documented, despite its name
        frame = frames.get(self._thread) if self._thread else None
        return "".join(traceback.format_stack(frame)) if frame else ""

    def _run(self) -> dict[str, Any] | None:
        if self._rejection:
            self._record_failure(UnstorableResult(str(self._rejection)))
            return None
        log.debug("started", attempt=self.job.attempt)
        try:
            result = self._act()
        except BaseException as error:  # noqa: BLE001 - an attempt can end in SystemExit, too
            self._record_failure(error)
            return None
        self._busy_since = None
        self._seconds = round(time.monotonic() - self._began, 3)
        if self.job.completed:
            log.info("succeeded", attempt=self.job.attempt, seconds=self._seconds)
            return None
        return self._fence | {"result": result}

    def _act(self) -> str | None:
        """Run the actor within its time limit; return its result as text."""
        with self._limits.limit(self._kind.time_limit) as self._watch:
            if self._is_lost:
                raise Interrupted
            payload = self._kind.parse(self._claim.payload).payload
            self._is_valid = True
            try:
                result = self._actor.function(payload, self.job)
            finally:
                if os.getpid() != self._process:
                    os._exit(1)  # a child that the actor forked: the attempt is its parent's
            return None if self.job.completed else storable(result)

    def _record_failure(self, error: BaseException) -> None:
        for each in causes(error):
            # The actor's frames may hold all the memory there is, and the record needs some.
            traceback.clear_frames(each.__traceback__)
        if self.job.completed:
            text = self._failure_recorder.text(error)
            log.error("failed after its transaction had completed the job", error=text)
        elif isinstance(error, Exception) and not self._is_valid:
            self._put_off_or_die(self._failure_recorder.record("failed", error))
        elif isinstance(error, Snooze):
            self._snooze(error.delay.total_seconds(), self._failure_recorder.text(error))
        elif isinstance(error, Superseded | Interrupted):
            log.warning("superseded", why=str(error) or NOT_OURS)
        elif is_own_conflict(error):
            self._snooze(OUTAGE_DELAY_SECONDS, "its transaction conflicted with another")
        elif is_own_demotion(error) or self._is_outage(error):
            self._snooze(OUTAGE_DELAY_SECONDS, "Postgres is unavailable")
        else:
            self._retry_or_die(error)

    def _is_outage(self, error: BaseException) -> bool:
        """Whether Postgres was unavailable: the group commit must have lost its connection too.

        The actor's connection alone proves nothing, because a job can end its own.
        """
        if not is_own_outage(error):
            return False
        with self._waiting():
            # An outage ends connections one by one, and perhaps the group commit's after this one.
            time.sleep(OUTAGE_SPREADS_SECONDS)
            return self._group_commit.has_lost_postgres_since(self._began)

    def _retry_or_die(self, error: BaseException) -> None:
        failure = self._failure_recorder.record(_outcome(error), error)
        policy = self._kind.retry
        if isinstance(error, UnstorableResult) or not policy.allows(error):
            self._die("refused", failure)
        if isinstance(error, Uncertain) and self._count_uncertain() >= policy.uncertain:
            self._die("uncertain", failure)
        self._retry_while_left(policy.delay(self._spent, error), failure)

    def _count_uncertain(self) -> int:
        """How many earlier attempts ended uncertain since the job was submitted or replayed."""
        forgiven = self._claim.attempt_limit - self._claim.attempt_budget
        with self._waiting():
            row = self._group_commit.write(
                transitions.COUNT_UNCERTAIN, {"id": self._fence["id"], "forgiven": forgiven}
            )
        count: int = row.uncertain
        return count

    def _put_off_or_die(self, failure: dict[str, Any]) -> None:
        """Leave a payload that is invalid here to other workers: another release may accept it.

        The job dies once workers have refused it for `patience`.
        """
        error = failure["error_message"]
        why = f"worker {self.job.worker} does not understand its payload: {error}"
        refusal = {
            "kind": "",
            "queue": "",
            "why": why,
            "patience_seconds": self._patience.total_seconds(),
        }
        with self._waiting():
            is_put_off = (
                self._group_commit.write(transitions.POSTPONE, self._fence | refusal) is not None
            )
        if not is_put_off:
            self._die("invalid_payload", failure)
        log.warning("put off: invalid payload", error=error)

    def _record_unknown_failure(self, error: BaseException) -> None:
        with suppress(Exception):
            log.error("cannot record how it ended", error_type=type(error).__qualname__)
        self._retry_while_left(Retry().backoff(self._spent), UNKNOWN_FAILURE)

    def _retry_while_left(self, delay: timedelta, failure: dict[str, Any]) -> None:
        if self._claim.attempt >= self._claim.attempt_limit:
            self._die("exhausted", failure)
        seconds = delay.total_seconds()
        log.warning(
            "failed, will retry", error=failure["error_message"], delay_seconds=round(seconds, 1)
        )
        self._write(transitions.RETRY, {"delay_seconds": seconds}, failure)
        self._group_commit.wake_up()

    def _die(self, reason: str, failure: dict[str, Any]) -> NoReturn:
        log.error("dead", reason=reason, attempt=self.job.attempt, error=failure["error_message"])
        self._write(transitions.DIE, {"reason": reason}, failure)
        raise Dead(reason)

    def _snooze(self, seconds: float, why: str) -> None:
        log.info("snoozed", delay_seconds=seconds, why=why)
        self._write(transitions.SNOOZE, {"delay_seconds": seconds}, {})

    def _write(self, transition: str, row: dict[str, Any], failure: dict[str, Any]) -> None:
        """Write the transition, without the failure's text if Postgres cannot store that."""
        row = self._fence | row
        with self._waiting():
            try:
                written = self._group_commit.write(transition, row | failure)
            except psycopg.Error:
                if not failure:
                    raise
                written = self._group_commit.write(
                    transition, row | UNKNOWN_FAILURE | {"outcome": failure["outcome"]}
                )
        if written is None:
            log.warning("superseded", why=NOT_OURS)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Pause the clock of `is_stuck` during a wait for the group commit, then reset it."""
        self._busy_since = None
        try:
            yield
        finally:
            self._busy_since = time.monotonic()


def _outcome(error: BaseException) -> str:
    if isinstance(error, TimeLimitExceeded):
        return "timed_out"
    return "uncertain" if isinstance(error, Uncertain) else "failed"
