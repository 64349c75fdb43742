"""One attempt at a job: validate, run, record. What happens between the claim and the ack.

Everything is written inside the call that Dramatiq makes, never in its after-hooks, which swallow
exceptions and then acknowledge. So when the message is acknowledged, Postgres knows the outcome;
and if the process dies before, the job is still running there, to be rescued.
"""

import sys
import threading
import time
import traceback
from contextlib import suppress
from datetime import timedelta
from typing import Any, NoReturn

import psycopg
import structlog
from pydantic import ValidationError

from outbox import steps
from outbox.actor import Actor
from outbox.broker import Dead
from outbox.causes import causes
from outbox.database import is_own_outage
from outbox.job import Job, Superseded
from outbox.kinds import Work
from outbox.ledger import Ledger, LedgerClosed
from outbox.redaction import scrub
from outbox.result import UnstorableResult, storable
from outbox.retry import Snooze
from outbox.time_limit import TimeLimitExceeded, TimeLimits

log = structlog.get_logger(__name__)

DATABASE_AWAY_SECONDS = 1.0
LONGEST_MESSAGE = 10_000
LONGEST_TRACEBACK = 50_000


class Attempt:
    """One run of one job, and the record of how it ended."""

    def __init__(
        self, actor: Actor, ledger: Ledger, limits: TimeLimits, job: Job, claim: Any
    ) -> None:
        self._actor = actor
        self._kind = actor.kind
        self._ledger = ledger
        self._limits = limits
        self.job = job
        self._claim = claim
        self._thread = threading.get_ident()
        self._acting_since: float | None = None

    def run(self) -> None:
        """Run the actor and record the outcome. Raises Dead where the job is dead now."""
        log.info("started", attempt=self.job.attempt)
        try:
            work = self._kind.parse(self._claim.payload)
        except ValidationError as error:
            self._die("invalid_payload", "failed", error)
        try:
            self._do(work)
        except Snooze as snooze:
            self._snooze(snooze.delay.total_seconds(), self._text(snooze))
        except Superseded as superseded:
            log.warning("superseded", why=str(superseded))
        except LedgerClosed:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit, too, is how an attempt ended
            self._failed(error)

    def hand_back(self) -> None:
        """Give the job to another worker at once, the attempt not spent.

        For a worker that stops while the actor still runs: what that does from now on is fenced.
        """
        self._snooze(0, "its worker stops")

    def give_up(self) -> None:
        """Record that the actor did not even react to its time limit.

        For a worker about to be replaced because of it.
        """
        with suppress(Dead):
            self._retry_or_die(TimeLimitExceeded("it did not react to its time limit"))

    def is_stuck(self, margin: timedelta) -> bool:
        """Whether the actor has ignored the end of its time for `margin`, in some call into C."""
        if self._acting_since is None:
            return False
        end = self._acting_since + (self._kind.time_limit + margin).total_seconds()
        return time.monotonic() > end

    def where(self) -> str:
        """The stack of the actor's thread, for the log."""
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - documented, despite its name
        return "".join(traceback.format_stack(frame)) if frame else ""

    def _do(self, work: Work[Any]) -> None:
        self._acting_since = time.monotonic()
        try:
            with self._limits.limit(self._kind.time_limit):
                result = self._actor.function(work.payload, self.job)
        finally:
            self._acting_since = None
        if not self.job.completed:
            self._write(steps.SUCCEED, {"result": storable(result)})
        log.info("succeeded", attempt=self.job.attempt)

    def _failed(self, error: BaseException) -> None:
        for each in causes(error):
            # What the actor held may be all the memory there is, and the record needs some.
            traceback.clear_frames(each.__traceback__)
        if self.job.completed:
            log.error("failed after its transaction had completed it", error=self._text(error))
        elif is_own_outage(error):
            self._snooze(DATABASE_AWAY_SECONDS, "Postgres is away")
        else:
            self._retry_or_die(error)

    def _retry_or_die(self, error: BaseException) -> None:
        outcome = "timed_out" if isinstance(error, TimeLimitExceeded) else "failed"
        policy = self._kind.retry
        if not policy.allows(error) or isinstance(error, UnstorableResult | psycopg.DataError):
            self._die("refused", outcome, error)
        if self.job.attempt >= self.job.attempt_limit:
            self._die("exhausted", outcome, error)
        spent = self.job.attempt - self.job.attempt_limit + self._claim.attempt_budget
        delay = policy.delay(spent, error).total_seconds()
        told = self._told(outcome, error)
        log.warning(
            "failed, to be retried", error=told["error_message"], delay_seconds=round(delay, 1)
        )
        self._write(steps.RETRY, told | {"delay_seconds": delay})
        self._ledger.nudge()

    def _die(self, reason: str, outcome: str, error: BaseException) -> NoReturn:
        told = self._told(outcome, error)
        log.error("dead", reason=reason, attempt=self.job.attempt, error=told["error_message"])
        self._write(steps.DIE, told | {"reason": reason})
        raise Dead(reason)

    def _snooze(self, seconds: float, why: str) -> None:
        log.info("snoozed", delay_seconds=seconds, why=why)
        self._write(steps.SNOOZE, {"delay_seconds": seconds})

    def _write(self, step: str, row: dict[str, Any]) -> None:
        fence = {"id": self.job.id, "dispatch": self.job.dispatch, "attempt": self.job.attempt}
        if self._ledger.write(step, fence | row) is None:
            log.warning("superseded", why="the job was taken from this worker")

    def _told(self, outcome: str, error: BaseException) -> dict[str, Any]:
        """How the attempt ended, in the columns of its record."""
        told = {"outcome": outcome, "error_type": type(error).__qualname__}
        try:
            trace = _shortened(self._clean(_trace(error)), LONGEST_TRACEBACK)
            return told | {"error_message": self._text(error), "traceback": trace}
        except MemoryError:
            return told | {"error_message": "too long to be told", "traceback": None}

    def _text(self, error: BaseException) -> str:
        return self._clean(_said(error))[:LONGEST_MESSAGE]

    def _clean(self, text: str) -> str:
        """Without sensitive values, and without what Postgres cannot keep in a text."""
        scrubbed = scrub(text, self._kind, self._claim.payload)
        return scrubbed.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _said(error: BaseException) -> str:
    """The error's text; of a validation error without the input, which it quotes shortened."""
    try:
        if isinstance(error, ValidationError):
            return str(error.errors(include_input=False, include_url=False))
        return str(error)
    except Exception as no_words:  # noqa: BLE001 - an error that cannot be told is still an error
        return f"its text raises {type(no_words).__qualname__}"


def _shortened(text: str, longest: int) -> str:
    """Beginning and end of a long text: in a traceback the actor's lines, and the error."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}\n[...]\n{text[-half:]}"


def _trace(error: BaseException) -> str:
    """The traceback from the actor on."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_globals["__name__"] == __name__:
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    for each in causes(error):
        if isinstance(each, ValidationError):
            text = text.replace(str(each), _said(each))
    return text
