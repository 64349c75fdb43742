"""One attempt at a job: validate, run, record. What happens between the claim and the ack.

Everything is written inside the call that Dramatiq makes, never in its after-hooks, which swallow
exceptions and then acknowledge. So when the message is acknowledged, Postgres knows the outcome;
and if the process dies before, the job is still running there, to be rescued.

While the process lives nothing but a record ends an attempt: what goes wrong while one is made
leads to another, which asks neither the error nor the policy for anything.
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

from outbox import steps
from outbox.actor import Actor
from outbox.broker import Dead
from outbox.causes import causes
from outbox.database import is_own_collision, is_own_demotion, is_own_outage
from outbox.job import Job, Superseded
from outbox.ledger import Ledger, LedgerClosed
from outbox.result import UnstorableResult, storable
from outbox.retry import Retry, Snooze, Uncertain
from outbox.teller import UNTOLD, Teller
from outbox.time_limit import Interrupted, TimeLimitExceeded, TimeLimits, Watch

log = structlog.get_logger(__name__)

DATABASE_AWAY_SECONDS = 1.0
OUTAGE_SPREADS_SECONDS = 1.0
TAKEN = "the job was no longer this worker's to record"


class Attempt:
    """One run of one job, and the record of how it ended."""

    def __init__(
        self,
        actor: Actor,
        ledger: Ledger,
        limits: TimeLimits,
        job: Job,
        claim: Any,
        patience: timedelta,
    ) -> None:
        self._actor = actor
        self._kind = actor.kind
        self._ledger = ledger
        self._limits = limits
        self.job = job
        self.place = str(job.id), job.dispatch
        self._claim = claim
        self._patience = patience
        self._spent = claim.attempt - claim.attempt_limit + claim.attempt_budget
        self._fence = {"id": str(job.id), "dispatch": job.dispatch, "attempt": claim.attempt}
        self._teller = Teller(actor.kind, claim.payload)
        self._process = os.getpid()
        self._thread: int | None = None
        self._is_valid = False
        self._is_lost = False
        self._watch: Watch | None = None
        self._refused: psycopg.Error | None = None
        self._began = -math.inf
        self._busy_since: float | None = None
        self._seconds = 0.0

    @property
    def has_begun(self) -> bool:
        """Whether a thread has taken it up."""
        return self._thread is not None

    @property
    def fence(self) -> tuple[str, int, int]:
        """Job, dispatch and attempt."""
        return (*self.place, self.job.attempt)

    @property
    def is_open(self) -> bool:
        """Whether it has not yet completed the job in a transaction, nor is about to."""
        return not (self.job.completed or self.job.is_committing)

    def run(self) -> dict[str, Any] | None:
        """Run the actor; returns the row of SUCCEED that is to be written, if it succeeded.

        Returns None where the outcome is on record. Raises Dead where the job is dead now;
        LedgerClosed where the worker stops before anything could be recorded.
        """
        self._thread = threading.get_ident()
        self._began = self._busy_since = time.monotonic()
        try:
            return self._run()
        except (Dead, LedgerClosed):
            raise
        except BaseException as trouble:  # noqa: BLE001 - whatever it is, the attempt has ended
            self._record_plainly(trouble)
            return None

    def refuse_result(self, why: psycopg.Error) -> None:
        """Postgres cannot keep the result: the next `run` records that, and runs nothing."""
        self._refused = why

    def tell_success(self, *, is_ours: bool) -> None:
        """Log how the record of the success went."""
        said = {"job": str(self.job.id), "kind": self.job.kind, "attempt": self.job.attempt}
        if is_ours:
            log.info("succeeded", **said, seconds=self._seconds)
        else:
            log.warning("superseded", why=TAKEN, **said)

    def interrupt(self) -> None:
        """End the run, or let it not begin: the job is no longer this worker's.

        Nothing is recorded. A call into C goes on; what the actor does then is fenced.
        """
        log.warning("interrupted", job=str(self.job.id), why=TAKEN)
        self._is_lost = True
        if self._watch is not None:
            self._limits.interrupt(self._watch)

    def hand_back(self) -> None:
        """Give the job to another worker at once, the attempt not spent.

        For a worker that stops while the actor still runs: what that does from now on is fenced.
        """
        self._snooze(0, "its worker stops")

    def give_up(self) -> None:
        """Record that the attempt did not even react to its time limit.

        For a worker about to be replaced because of it.
        """
        with suppress(Dead):
            self._retry_or_die(TimeLimitExceeded("it did not react to its time limit"))

    def is_stuck(self, margin: timedelta) -> bool:
        """Whether it goes on `margin` past the end of its time, in some call into C, say.

        Not while it waits for the ledger, or for its COMMIT: that may take as long as Postgres, or
        a standby that it waits for, is away.
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
        if self._refused:
            self._failed(UnstorableResult(str(self._refused)))
            return None
        log.debug("started", attempt=self.job.attempt)
        try:
            result = self._act()
        except BaseException as error:  # noqa: BLE001 - SystemExit, too, is how an attempt ended
            self._failed(error)
            return None
        self._busy_since = None
        self._seconds = round(time.monotonic() - self._began, 3)
        if self.job.completed:
            log.info("succeeded", attempt=self.job.attempt, seconds=self._seconds)
            return None
        return self._fence | {"result": result}

    def _act(self) -> str | None:
        """Do the job within its time limit; returns the result as text."""
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

    def _failed(self, error: BaseException) -> None:
        for each in causes(error):
            # What the actor held may be all the memory there is, and the record needs some.
            traceback.clear_frames(each.__traceback__)
        if self.job.completed:
            said = self._teller.text(error)
            log.error("failed after its transaction had completed it", error=said)
        elif isinstance(error, Exception) and not self._is_valid:
            self._put_off_or_die(self._teller.record("failed", error))
        elif isinstance(error, Snooze):
            self._snooze(error.delay.total_seconds(), self._teller.text(error))
        elif isinstance(error, Superseded | Interrupted):
            log.warning("superseded", why=str(error) or TAKEN)
        elif is_own_collision(error):
            self._snooze(DATABASE_AWAY_SECONDS, "Postgres rolled it back for another transaction")
        elif is_own_demotion(error) or self._is_outage(error):
            self._snooze(DATABASE_AWAY_SECONDS, "Postgres is away")
        else:
            self._retry_or_die(error)

    def _is_outage(self, error: BaseException) -> bool:
        """Whether Postgres was away, as the ledger saw too: a job can end its own connection."""
        if not is_own_outage(error):
            return False
        with self._waiting():
            # What goes away ends its connections one by one, the ledger's perhaps after this.
            time.sleep(OUTAGE_SPREADS_SECONDS)
            return self._ledger.has_lost_postgres_since(self._began)

    def _retry_or_die(self, error: BaseException) -> None:
        told = self._teller.record(_outcome(error), error)
        policy = self._kind.retry
        if isinstance(error, UnstorableResult) or not policy.allows(error):
            self._die("refused", told)
        if isinstance(error, Uncertain) and self._uncertain_before() >= policy.uncertain:
            self._die("uncertain", told)
        self._retry_while_left(policy.delay(self._spent, error), told)

    def _uncertain_before(self) -> int:
        """How many attempts of this budget ended uncertain before."""
        forgiven = self._claim.attempt_limit - self._claim.attempt_budget
        with self._waiting():
            row = self._ledger.write(
                steps.COUNT_UNCERTAIN, {"id": self._fence["id"], "forgiven": forgiven}
            )
        count: int = row.uncertain
        return count

    def _put_off_or_die(self, told: dict[str, Any]) -> None:
        """The payload is not understood here. A worker of another release may understand it."""
        why = f"worker {self.job.worker} does not understand its payload: {told['error_message']}"
        refusal = {
            "kind": "",
            "queue": "",
            "why": why,
            "patience_seconds": self._patience.total_seconds(),
        }
        with self._waiting():
            is_put_off = self._ledger.write(steps.PUT_OFF, self._fence | refusal) is not None
        if not is_put_off:
            self._die("invalid_payload", told)
        log.warning("put off: its payload is not understood", error=told["error_message"])

    def _record_plainly(self, trouble: BaseException) -> None:
        with suppress(Exception):
            log.error("its end cannot be told", trouble=type(trouble).__qualname__)
        self._retry_while_left(Retry().backoff(self._spent), UNTOLD)

    def _retry_while_left(self, delay: timedelta, told: dict[str, Any]) -> None:
        if self._claim.attempt >= self._claim.attempt_limit:
            self._die("exhausted", told)
        seconds = delay.total_seconds()
        log.warning(
            "failed, to be retried", error=told["error_message"], delay_seconds=round(seconds, 1)
        )
        self._write(steps.RETRY, {"delay_seconds": seconds}, told)
        self._ledger.nudge()

    def _die(self, reason: str, told: dict[str, Any]) -> NoReturn:
        log.error("dead", reason=reason, attempt=self.job.attempt, error=told["error_message"])
        self._write(steps.DIE, {"reason": reason}, told)
        raise Dead(reason)

    def _snooze(self, seconds: float, why: str) -> None:
        log.info("snoozed", delay_seconds=seconds, why=why)
        self._write(steps.SNOOZE, {"delay_seconds": seconds}, {})

    def _write(self, step: str, row: dict[str, Any], told: dict[str, Any]) -> None:
        """Take the step; where Postgres cannot keep what is told, take it without that."""
        row = self._fence | row
        with self._waiting():
            try:
                written = self._ledger.write(step, row | told)
            except psycopg.Error:
                if not told:
                    raise
                written = self._ledger.write(step, row | UNTOLD | {"outcome": told["outcome"]})
        if written is None:
            log.warning("superseded", why=TAKEN)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """For the ledger; the time that the attempt has begins anew afterwards."""
        self._busy_since = None
        try:
            yield
        finally:
            self._busy_since = time.monotonic()


def _outcome(error: BaseException) -> str:
    if isinstance(error, TimeLimitExceeded):
        return "timed_out"
    return "uncertain" if isinstance(error, Uncertain) else "failed"
